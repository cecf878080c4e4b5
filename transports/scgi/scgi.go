// Package scgi turns the heads of SCGI requests (python.ca/scgi/protocol.txt)
// into uwsgi variable blocks. It knows no sockets.
package scgi

import (
	"bytes"
	"errors"
	"strconv"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// Transport is the protocol, for the worker.
var Transport = transports.Transport{New: func() transports.Receiver { return receiver{} }}

type receiver struct{}

// Receive implements transports.Receiver. The body follows the head as it does in uwsgi.
func (receiver) Receive(c *transports.Conn, data, room []byte) (q transports.Request) {
	head, err := Parse(data)
	switch {
	case err != nil:
		q.Err = err
		return q
	case head.Size > c.Limit:
		q.Err = &transports.TooLongError{Size: head.Size, Limit: c.Limit}
		return q
	}
	q.HeadSize = head.Size
	if !head.Whole() {
		return q
	}
	vars, err := head.AppendVars(room[:0])
	if q.Take(vars, room, err) {
		q.Length = transports.FromVars
	}
	return q
}

// ErrMalformed is a head that is no netstring of names and values.
var ErrMalformed = errors.New("malformed SCGI head")

// maxDigits is what the length of a netstring takes at most: a block holds no more than 64 KiB.
const maxDigits = 6

// Head is the netstring at the start of a request.
type Head struct {
	Size int    // of the netstring with its length and comma, bytes; 0: not known yet
	text []byte // the names and values; nil until all of it is there
}

// Parse reads the head at the start of data, as far as it is there.
func Parse(data []byte) (h Head, err error) {
	colon := bytes.IndexByte(data[:min(len(data), maxDigits+1)], ':')
	digits := data[:max(colon, 0)]
	if colon < 0 {
		digits = data
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return h, ErrMalformed
		}
	}
	if colon < 0 && len(data) <= maxDigits {
		return h, nil
	}
	size, err := strconv.Atoi(string(digits))
	if colon < 0 || err != nil {
		return h, ErrMalformed
	}
	h.Size = colon + 1 + size + 1
	if len(data) < h.Size {
		return h, nil
	}
	if data[h.Size-1] != ',' {
		return h, ErrMalformed
	}
	h.text = data[colon+1 : h.Size-1]
	return h, nil
}

// Whole tells whether all of the head was there.
func (h Head) Whole() bool { return h.text != nil }

// AppendVars appends the names and values of a whole head to dst as a uwsgi variable block.
func (h Head) AppendVars(dst []byte) ([]byte, error) {
	for rest := h.text; len(rest) > 0; {
		name, after, some := bytes.Cut(rest, []byte{0})
		value, next, ended := bytes.Cut(after, []byte{0})
		if !some || !ended {
			return dst, ErrMalformed
		}
		if !uwsgi.Fits(len(name)) || !uwsgi.Fits(len(value)) {
			return dst, uwsgi.ErrTooLong
		}
		dst = uwsgi.AppendVar(dst, name, value)
		rest = next
	}
	return dst, nil
}
