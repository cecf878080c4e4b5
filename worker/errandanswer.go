package worker

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"envoxyd/routing"
	"envoxyd/transports/http"
)

// errandAnswer is how far the answer of an errand is.
type errandAnswer struct {
	begun   bool  // something was sent
	left    int64 // bytes of the body that the client may get; -1: any number
	chunked bool  // the server frames the body
	silent  bool  // there is no body to be sent

	packer *gzip.Writer // nil: the body is sent as it is
	packed bytes.Buffer // what packer has made
	store  *gathering   // the body is wanted as a whole; nil: it is not
}

// errandHead is what an answerer says before the body.
type errandHead struct {
	code    int
	status  string // three digits and a phrase
	fields  []byte // lines with their CRLF, without Content-Length and Connection
	length  int64  // of the body; -1: nobody knows
	coded   bool   // the answerer frames the body by itself
	chunked bool   // the body had chunks: who speaks HTTP/1.1 may get some
	ends    bool   // the connection is to be closed
}

const (
	errandPiece  = 16 << 10 // what is read at once, in bytes
	mostGathered = 1 << 20  // of a body that rules want as a whole, in bytes
)

// gathering is a body that is kept while it is sent.
type gathering struct {
	data []byte
	over bool // it is more than is kept
}

func (g *gathering) add(piece []byte) {
	if g.over = g.over || len(g.data)+len(piece) > mostGathered; g.over {
		g.data = nil
		return
	}
	g.data = append(g.data, piece...)
}

// pass sends the client what an answerer says, as it comes: no more than a piece is kept. start is what is there of the
// body.
func (e *errand) pass(h *errandHead, start []byte, read func(room []byte) (int, error)) error {
	edited, gathers, err := e.routeHead(h)
	if err != nil {
		return err
	}
	room := make([]byte, errandPiece)
	if gathers {
		if start, err = gather(start, room, read); err == nil && len(start) <= mostGathered {
			h.length = int64(len(start))
			edited = append(edited, fmt.Sprintf("Content-Length: %d\r\n", h.length)...)
			read = func([]byte) (int, error) { return 0, io.EOF }
		} else if err != nil {
			return err
		}
	}
	if err := e.sendHead(h, edited, start); err != nil {
		return err
	}
	for {
		n, err := read(room)
		if n > 0 {
			if err := e.sendBody(nil, room[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return e.sendEnd()
		}
		if err != nil {
			return err
		}
	}
}

// gather reads a body as far as it may be kept, and maybe a piece more.
func gather(start, room []byte, read func(room []byte) (int, error)) ([]byte, error) {
	data := append([]byte(nil), start...)
	for len(data) <= mostGathered {
		n, err := read(room)
		data = append(data, room[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

// routeHead makes the fields of the answer, as the options and the rules want them. gathers: its length is to be found out.
func (e *errand) routeHead(h *errandHead) (fields []byte, gathers bool, err error) {
	fields = e.w.withoutRemoved(h.fields)
	silent := e.parsed.flags&reqNoBody != 0 || h.code == 204 || h.code == 304
	if h.length >= 0 && h.code != 204 {
		fields = fmt.Appendf(fields, "Content-Length: %d\r\n", h.length)
	}
	fields = append(fields, e.w.extra...)
	if e.routed == nil {
		return fields, false, nil
	}
	edited, other := e.routed.edit(h.code, append([]byte(h.status+"\r\n"), fields...), []byte(e.uri()))
	if other != nil {
		return nil, false, cmp.Or(e.sendOther(other), errAnswered)
	}
	effects := &e.routed.request.Effects
	if effects.RawSent || effects.NoHeaders {
		return nil, false, cmp.Or(e.sendBare(effects.Raw), errAnswered)
	}
	h.status, fields = splitStatus(edited)
	h.code, _ = strconv.Atoi(h.status[:3])
	if silent {
		return fields, false, nil
	}
	if effects.Gzip && !h.coded && !hasField(edited, "Content-Encoding") {
		fields = append(dropField(fields, "Content-Length"), "Content-Encoding: gzip\r\n"...)
		h.length, h.chunked = -1, true
		e.answer.packer = gzip.NewWriter(&e.answer.packed)
	}
	h.chunked = h.chunked || effects.Chunked
	if len(effects.Store) > 0 && h.code == 200 {
		e.answer.store = new(gathering)
	}
	return fields, (effects.FixLength || effects.ForceLength) && h.length < 0 && !h.coded && e.answer.packer == nil, nil
}

// sendHead sends the head of the answer, along with the beginning of its body.
func (e *errand) sendHead(h *errandHead, fields, body []byte) error {
	a, flags := &e.answer, e.parsed.flags
	a.left = h.length
	a.silent = flags&reqNoBody != 0 || h.code == 204 || h.code == 304
	wants := flags&reqChunk != 0 || h.chunked && flags&reqHTTP11 != 0
	a.chunked = wants && flags&reqHTTP10 == 0 && h.length < 0 && !h.coded && !a.silent
	if a.chunked {
		fields = append(fields, "Transfer-Encoding: chunked\r\n"...)
	}
	text := e.head(h.status, fields, h.length >= 0 || a.chunked || a.silent, h.ends)
	if len(body) == 0 {
		return e.send(text)
	}
	return e.sendBody(text, body)
}

// head makes a head, and notes what it says.
func (e *errand) head(status string, fields []byte, delimited, ends bool) []byte {
	o := &e.outcome
	if len(status) == 3 {
		status += " " + phraseOf(status)
	}
	text, result := appendHead(nil, e.parsed.flags, status, fields, delimited, ends)
	o.status, _ = strconv.Atoi(status[:3])
	o.head, o.headers = len(text), bytes.Count(text, []byte("\r\n"))-2
	o.result |= result
	return text
}

func statusLine(status int) string { return fmt.Sprintf("%d %s", status, http.Phrase(status)) }

func phraseOf(status string) string {
	code, _ := strconv.Atoi(status)
	return http.Phrase(code)
}

// sendWhole sends an answer of the server's own. seen: the rules of the later stages are to see it.
func (e *errand) sendWhole(status string, fields, body []byte, ends, seen bool) error {
	code, _ := strconv.Atoi(status[:3])
	if r := e.routed; r != nil {
		head := append([]byte(status+"\r\n"), fields...)
		var other *routing.Answer
		if !seen {
			head = editHead(head, &r.request.Effects)
		} else if head, other = r.edit(code, head, []byte(e.uri())); other != nil {
			return e.sendOther(other)
		}
		status, fields = splitStatus(head)
	}
	text := e.head(status, fields, true, ends)
	if e.parsed.flags&reqNoBody != 0 {
		body = nil
	}
	e.outcome.sent = int64(len(body))
	return e.send(append(text, body...))
}

// sendOther sends an answer of rules in place of another one.
func (e *errand) sendOther(a *routing.Answer) error {
	fields, body := appendAnswer(nil, a, e.w.extra)
	return e.sendWhole(a.Status, fields, body, a.Close, false)
}

// sendBare sends what rules want to be sent as it is; the connection ends behind it.
func (e *errand) sendBare(raw []byte) error {
	e.outcome.result |= resClose
	e.answer.begun = true
	return e.send(raw)
}

// sendBody sends a piece of the body behind head. What is more than was announced is dropped.
func (e *errand) sendBody(head, piece []byte) error {
	a := &e.answer
	if a.silent {
		piece = nil
	}
	if a.left >= 0 {
		piece = piece[:min(int64(len(piece)), a.left)]
		a.left -= int64(len(piece))
	}
	if a.store != nil {
		a.store.add(piece)
	}
	if a.packer != nil {
		_, _ = a.packer.Write(piece) // a buffer takes all
		piece = a.takePacked()
	}
	return e.sendPiece(head, piece)
}

// takePacked returns what was compressed since the last call, which is valid until more is.
func (a *errandAnswer) takePacked() []byte {
	defer a.packed.Reset()
	return a.packed.Bytes()
}

func (e *errand) sendPiece(head, piece []byte) error {
	e.outcome.sent += int64(len(piece))
	if len(piece) > 0 && e.answer.chunked {
		head = fmt.Appendf(head, "%x\r\n", len(piece))
		head = append(append(head, piece...), "\r\n"...)
		piece = nil
	}
	if len(head) == 0 {
		return e.send(piece)
	}
	return e.send(append(head, piece...))
}

func (e *errand) sendEnd() error {
	a := &e.answer
	if a.left > 0 && !a.silent {
		e.outcome.result |= resShort
		return nil
	}
	if a.store != nil && !a.store.over {
		e.routed.store(a.store.data)
	}
	if a.packer != nil && !a.silent {
		_ = a.packer.Close() // a buffer takes all
		if err := e.sendPiece(nil, a.takePacked()); err != nil {
			return err
		}
	}
	if a.chunked {
		return e.send([]byte("0\r\n\r\n"))
	}
	return nil
}

// send sends bytes of the response, and before them the responses that were held.
func (e *errand) send(data []byte) error {
	l := e.conn.listener
	if len(data) == 0 {
		return nil
	}
	if frame := l.transport.Frame; frame != nil {
		data = frame(nil, e.parsed.ID, data)
	}
	if len(e.held) > 0 {
		data, e.held = append(e.held, data...), nil
	}
	e.answer.begun = true
	if err := sendPiece(e.stream, data, l.send); err != nil {
		return &clientError{err}
	}
	return nil
}

// withoutRemoved returns lines of header fields without those that --del-header names.
func (w *Worker) withoutRemoved(fields []byte) []byte {
	return appendFields(nil, fields, w.removed)
}

// removedNames are the names of --del-header.
func removedNames(options []string) (names [][]byte) {
	for _, option := range options {
		names = append(names, []byte(strings.TrimRight(strings.TrimSpace(option), ":")))
	}
	return names
}
