// Package client sends requests to servers that speak the uwsgi protocol, and reads their answers: the variables in a
// packet, behind it the body, and back comes HTTP text until the connection ends.
package client

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/http"
)

// MaxHead is how long the head of an answer may be, bytes.
const MaxHead = 64 << 10

// Errors of an exchange. One whose connection was never made wraps stream.ErrRefused: the server has seen nothing.
var (
	ErrBlock   = errors.New("the variables are longer than a uwsgi packet can be")
	ErrNothing = errors.New("the server closed the connection without an answer")
	ErrHead    = fmt.Errorf("the head of the answer is longer than %d bytes", MaxHead)
)

// Request is one request.
type Request struct {
	Modifier1, Modifier2 byte
	Vars                 []byte    // the variable block, as protocol/uwsgi writes it; CONTENT_LENGTH says how long Body is
	Body                 io.Reader // nil: none. Read on a goroutine of its own, until the answer is closed
	Head                 bool      // the method is HEAD: there is no body in the answer
}

// Timeouts bound an exchange; 0: no bound.
type Timeouts struct {
	Connect time.Duration
	IO      time.Duration // of each read and write
}

// AppendPacket appends the packet of a request to dst: header and variables.
func AppendPacket(dst []byte, modifier1, modifier2 byte, vars []byte) ([]byte, error) {
	if len(vars) > uwsgi.MaxBlock {
		return dst, ErrBlock
	}
	dst = uwsgi.AppendHeader(dst, uwsgi.Header{Modifier1: modifier1, Modifier2: modifier2, Size: len(vars)})
	return append(dst, vars...), nil
}

// Answer is what a server answers with. Its owner closes it.
type Answer struct {
	http.ResponseHead // of the final answer, not of 1xx before it

	conn    *stream.Conn
	timeout time.Duration
	buffer  []byte // head and what came with it; the head's slices alias it
	rest    []byte // of buffer: the start of the body
	left    int64  // of the body; -1: until the connection ends
	sending sync.WaitGroup
}

// Do sends a request to the server at address and waits for the head of its answer.
func Do(address string, t Timeouts, r *Request) (*Answer, error) {
	packet, err := AppendPacket(nil, r.Modifier1, r.Modifier2, r.Vars)
	if err != nil {
		return nil, err
	}
	conn, err := stream.Dial(address, t.Connect)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	a := &Answer{conn: conn, timeout: t.IO}
	conn.WriteTimeout(t.IO)
	if _, err := conn.Write(packet); err != nil {
		a.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if r.Body != nil {
		a.sending.Go(func() { // ends when Close closes the connection, or with the body
			_, _ = io.Copy(timed{conn, t.IO}, r.Body) // a server that has answered need not read the rest
		})
	}
	if err := a.readHead(r.Head); err != nil {
		a.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return a, nil
}

// timed bounds each write anew.
type timed struct {
	*stream.Conn
	timeout time.Duration
}

func (t timed) Write(p []byte) (int, error) {
	t.WriteTimeout(t.timeout)
	return t.Conn.Write(p)
}

func (a *Answer) readHead(head bool) error {
	a.buffer = make([]byte, 0, 4096)
	for {
		n, err := a.Parse(a.buffer)
		switch {
		case err != nil:
			return err
		case n > 0 && a.Status < 200 && a.Status != 101:
			a.buffer = append(a.buffer[:0], a.buffer[n:]...)
			continue
		case n > 0:
			a.rest, a.left = a.buffer[n:], a.Length
			if a.Status != 101 && a.Bodiless(head) {
				a.left = 0
			}
			return nil
		case len(a.buffer) >= MaxHead:
			return ErrHead
		}
		if err := a.more(); err != nil {
			return err
		}
	}
}

// more reads more of the head.
func (a *Answer) more() error {
	if len(a.buffer) == cap(a.buffer) {
		a.buffer = append(make([]byte, 0, 2*cap(a.buffer)), a.buffer...)
	}
	a.conn.ReadTimeout(a.timeout)
	n, err := a.conn.Read(a.buffer[len(a.buffer):cap(a.buffer)])
	a.buffer = a.buffer[:len(a.buffer)+n]
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF) && len(a.buffer) == 0:
		return ErrNothing
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read reads the body as it was sent, chunks with their framing; io.EOF at its end, io.ErrUnexpectedEOF when
// the connection ends before.
func (a *Answer) Read(p []byte) (n int, err error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	if a.left > 0 && int64(len(p)) > a.left {
		p = p[:a.left]
	}
	if len(a.rest) > 0 {
		n = copy(p, a.rest)
		a.rest = a.rest[n:]
	} else {
		a.conn.ReadTimeout(a.timeout)
		n, err = a.conn.Read(p)
		if errors.Is(err, io.EOF) && a.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	if a.left > 0 {
		a.left -= int64(n)
	}
	return n, err
}

// Close ends the exchange. A body that is still being sent must end by itself soon: its reader is the caller's.
func (a *Answer) Close() {
	_ = a.conn.Close()
	a.sending.Wait()
}
