package logging

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"time"

	"envoxyd/internal/logtext"
)

// encodeFunc appends what becomes of a record to dst.
type encodeFunc func(dst, record []byte, now time.Time) []byte

// encoder changes a record on its way to a logger.
type encoder struct {
	logger string // the one that it is for; "": all of them
	encode encodeFunc
}

// encoderKinds make an encoder of an argument; note takes what is odd about it.
var encoderKinds = map[string]func(argument string, note func(string)) (encodeFunc, error){
	"prefix": func(argument string, _ func(string)) (encodeFunc, error) {
		return func(dst, record []byte, _ time.Time) []byte { return append(append(dst, argument...), record...) }, nil
	},
	"suffix": func(argument string, _ func(string)) (encodeFunc, error) { return suffix(argument), nil },
	"nl":     func(string, func(string)) (encodeFunc, error) { return suffix("\n"), nil },
	"format": func(argument string, note func(string)) (encodeFunc, error) {
		return template(argument, appendRaw, note)
	},
	"json": func(argument string, note func(string)) (encodeFunc, error) {
		return template(argument, logtext.AppendJSON[[]byte], note)
	},
	"gzip":     func(string, func(string)) (encodeFunc, error) { return compressed(newGzip), nil },
	"compress": func(string, func(string)) (encodeFunc, error) { return compressed(newZlib), nil },
}

// parseEncoder reads NAME[:LOGGER][ ARGUMENT].
func parseEncoder(text string, note func(string)) (encoder, error) {
	head, argument, _ := strings.Cut(text, " ")
	name, logger, _ := strings.Cut(head, ":")
	kind := encoderKinds[name]
	if kind == nil {
		return encoder{}, fmt.Errorf("log encoder %q not found; there are compress, format, gzip, json, nl, prefix, suffix", name)
	}
	encode, err := kind(argument, note)
	return encoder{logger: logger, encode: encode}, err
}

// suffix comes behind the line break, where the record has one.
func suffix(argument string) encodeFunc {
	return func(dst, record []byte, _ time.Time) []byte { return append(append(dst, record...), argument...) }
}

func newGzip(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func newZlib(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

// compressed makes of each record a whole compressed file of its own: what is joined of
// such can be read from the beginning whatever happens to its end.
func compressed(open func(w io.Writer) io.WriteCloser) encodeFunc {
	return func(dst, record []byte, _ time.Time) []byte {
		var out bytes.Buffer
		w := open(&out)
		_, err := w.Write(record)
		if err == nil {
			err = w.Close()
		}
		if err != nil { // a buffer in memory takes everything
			return append(dst, record...)
		}
		return append(dst, out.Bytes()...)
	}
}
