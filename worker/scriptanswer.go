package worker

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"envoxyd/transports/http"
	"envoxyd/worker/cgi"
)

// scriptAnswer is how far the answer of a program is.
type scriptAnswer struct {
	begun   bool  // something was sent
	left    int64 // bytes of the body that the client may get; -1: any number
	chunked bool  // the server frames the body
	silent  bool  // there is no body to be sent
}

// pass sends the client what the program says, as it comes: no more than a piece is kept.
func (one *script) pass() error {
	room := make([]byte, 32<<10)
	var said []byte
	var head *cgi.Head
	for head == nil {
		n, err := one.read(room)
		said = append(said, room[:n]...)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = &cgi.HeadError{Reason: "it ended before its head did", Early: true}
			}
			return err
		}
		if head, err = cgi.ParseHead(said); err != nil {
			return err
		}
	}
	if err := one.sendHead(head, said[head.Started:]); err != nil {
		return err
	}
	for {
		n, err := one.read(room)
		if err == nil {
			err = one.sendBody(nil, room[:n])
		}
		if errors.Is(err, io.EOF) {
			return one.sendEnd()
		}
		if err != nil {
			return err
		}
	}
}

// sendHead sends the head of the answer, along with the beginning of its body.
func (one *script) sendHead(h *cgi.Head, body []byte) error {
	a, flags := &one.answer, one.parsed.flags
	a.left = h.Length
	a.silent = flags&reqNoBody != 0 || h.Code == 204 || h.Code == 304
	a.chunked = flags&reqChunk != 0 && flags&reqHTTP10 == 0 && h.Length < 0 && !h.Coded && !a.silent
	var fields []byte
	add := func(name, value string) { fields = fmt.Appendf(fields, "%s: %s\r\n", name, value) }
	for _, f := range h.Fields {
		if !one.c.removes(f.Name) {
			add(f.Name, f.Value)
		}
	}
	if h.Length >= 0 && h.Code != 204 {
		add("Content-Length", fmt.Sprint(h.Length))
	}
	if a.chunked {
		add("Transfer-Encoding", "chunked")
	}
	fields = append(fields, one.c.w.extra...)
	o := &one.outcome
	delimited := h.Length >= 0 || a.chunked || a.silent
	if len(h.Status) == 3 {
		h.Status += " " + http.Phrase(h.Code)
	}
	text, result := appendHead(nil, flags, h.Status, fields, delimited, h.Ends)
	o.status, o.head, o.headers, o.result = h.Code, len(text), strings.Count(string(text), "\r\n")-2, result
	return one.sendBody(text, body)
}

// sendBody sends a piece of the body behind head. What is more than was announced is dropped.
func (one *script) sendBody(head, piece []byte) error {
	a := &one.answer
	if a.silent {
		piece = nil
	}
	if a.left >= 0 {
		piece = piece[:min(int64(len(piece)), a.left)]
		a.left -= int64(len(piece))
	}
	one.outcome.sent += int64(len(piece))
	if len(piece) > 0 && a.chunked {
		head = fmt.Appendf(head, "%x\r\n", len(piece))
		head = append(append(head, piece...), "\r\n"...)
		piece = nil
	}
	return one.send(append(head, piece...))
}

func (one *script) sendEnd() error {
	a := &one.answer
	if a.left > 0 && !a.silent {
		one.outcome.result |= resShort
		return nil
	}
	if a.chunked {
		return one.send([]byte("0\r\n\r\n"))
	}
	return nil
}

// send sends bytes of the response, and before them the responses that were held.
func (one *script) send(data []byte) error {
	l := one.conn.listener
	if len(data) == 0 {
		return nil
	}
	if frame := l.transport.Frame; frame != nil {
		data = frame(nil, one.parsed.ID, data)
	}
	if len(one.held) > 0 {
		data, one.held = append(one.held, data...), nil
	}
	one.answer.begun = true
	return sendPiece(one.stream, data, l.send)
}

// removes tells whether --del-header has the field.
func (c *scripts) removes(name string) bool {
	for _, other := range c.w.spec.Python.DelHeaders {
		if strings.EqualFold(name, strings.TrimRight(strings.TrimSpace(other), ":")) {
			return true
		}
	}
	return false
}
