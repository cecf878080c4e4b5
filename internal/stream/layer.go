package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Layer is what a connection speaks over its socket: *tls.Conn, say.
type Layer interface {
	io.ReadWriter
	CloseWrite() error // tells the other side that nothing more comes
	Close() error      // likewise, and ends the layer
}

// layered is a connection's layer, and what was read from it ahead of a reader.
type layered struct {
	Layer
	below *Below
	first [1]byte // what WaitReadable has read
	held  bool    // first is waiting for a reader
}

// Below is the socket of a connection as its layer sees it. It implements net.Conn.
type Below struct {
	c *Conn

	// Before is read before what the socket has.
	Before []byte
	atOnce bool // reads do not wait
}

// Below returns what a layer of the connection reads and writes.
func (c *Conn) Below() *Below { return &Below{c: c} }

// Cover has the connection speak a layer from now on, which was made of below. Nobody else uses the connection yet.
func (c *Conn) Cover(layer Layer, below *Below) { c.layer = &layered{Layer: layer, below: below} }

// Read implements net.Conn. A wait that is too long is os.ErrDeadlineExceeded itself, which crypto/tls takes for a
// failure that passes; an error that wraps it would end its connection.
func (b *Below) Read(p []byte) (int, error) {
	if len(b.Before) > 0 {
		n := copy(p, b.Before)
		b.Before = b.Before[n:]
		return n, nil
	}
	var n int
	var err error
	if b.atOnce {
		n, err = b.c.readAtOnce(p)
	} else {
		n, err = b.c.file.Read(p)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Write implements net.Conn.
func (b *Below) Write(p []byte) (int, error) { return b.c.file.Write(p) }

// Close implements net.Conn. The socket is closed with the connection.
func (b *Below) Close() error { return nil }

// LocalAddr implements net.Conn.
func (b *Below) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (b *Below) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn.
func (b *Below) SetDeadline(t time.Time) error {
	return errors.Join(b.SetReadDeadline(t), b.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (b *Below) SetReadDeadline(t time.Time) error {
	b.c.reading.forget()
	return b.c.file.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (b *Below) SetWriteDeadline(t time.Time) error {
	b.c.writing.forget()
	return b.c.file.SetWriteDeadline(t)
}

// forget has the next timeout be set, whatever it is.
func (a *armed) forget() { a.at.Store(1) }

// readAtOnce reads what is there; os.ErrDeadlineExceeded: nothing is.
func (c *Conn) readAtOnce(p []byte) (n int, err error) {
	failed := c.raw.Control(func(fd uintptr) {
		for {
			if n, err = unix.Read(int(fd), p); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	switch {
	case failed != nil:
		return 0, failed
	case errors.Is(err, unix.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// wait is WaitReadable. Only reading tells whether the layer has anything: a byte is enough.
func (l *layered) wait() error {
	if l.held {
		return nil
	}
	n, err := l.Layer.Read(l.first[:])
	l.held = n > 0
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // the end, and any other error, is what the next read returns again
}

// Read implements io.Reader.
func (l *layered) Read(p []byte) (int, error) {
	if !l.held || len(p) == 0 {
		return l.Layer.Read(p)
	}
	p[0], l.held = l.first[0], false
	l.below.atOnce = true
	n, _ := l.Layer.Read(p[1:]) // an error comes again
	l.below.atOnce = false
	return 1 + n, nil
}
