package logging

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"envoxyd/internal/logdate"
)

// template reads the argument of the encoders format and json: text with ${NAME} in
// it. Backslashes mean nothing. message appends what comes from the record or a date.
func template(text string, message func(dst, text []byte) []byte, note func(string)) (encodeFunc, error) {
	var parts []encodeFunc
	for text != "" {
		start := strings.Index(text, "${")
		end := -1
		if start >= 0 {
			end = strings.IndexByte(text[start:], '}')
		}
		if end < 0 {
			parts = append(parts, literal(text))
			break
		}
		if start > 0 {
			parts = append(parts, literal(text[:start]))
		}
		variable, err := variable(text[start+2:start+end], message, note)
		if err != nil {
			return nil, err
		}
		parts = append(parts, variable)
		text = text[start+end+1:]
	}
	return func(dst, record []byte, now time.Time) []byte {
		for _, p := range parts {
			dst = p(dst, record, now)
		}
		return dst
	}, nil
}

func literal(text string) encodeFunc {
	return func(dst, _ []byte, _ time.Time) []byte { return append(dst, text...) }
}

// variable is ${name}; one that there is not is empty, as in uWSGI.
func variable(name string, message func(dst, text []byte) []byte, note func(string)) (encodeFunc, error) {
	switch name {
	case "msg":
		return func(dst, record []byte, _ time.Time) []byte {
			return message(dst, bytes.TrimSuffix(record, newline))
		}, nil
	case "msgnl":
		return func(dst, record []byte, _ time.Time) []byte { return message(dst, record) }, nil
	case "unix":
		return func(dst, _ []byte, now time.Time) []byte { return strconv.AppendInt(dst, now.Unix(), 10) }, nil
	case "millis":
		return func(dst, _ []byte, now time.Time) []byte { return strconv.AppendInt(dst, now.UnixMilli(), 10) }, nil
	case "micros":
		return func(dst, _ []byte, now time.Time) []byte { return strconv.AppendInt(dst, now.UnixMicro(), 10) }, nil
	}
	format, is := strings.CutPrefix(name, "strftime:")
	if !is {
		note(fmt.Sprintf("there is no ${%s}; there are msg, msgnl, unix, millis, micros, strftime:FORMAT", name))
		return literal(""), nil
	}
	layout, err := logdate.Parse(format)
	if err != nil {
		return nil, fmt.Errorf("log encoder: ${strftime:…}: %w", err)
	}
	return func(dst, _ []byte, now time.Time) []byte { return message(dst, layout.Append(nil, now)) }, nil
}

func appendRaw(dst, text []byte) []byte { return append(dst, text...) }
