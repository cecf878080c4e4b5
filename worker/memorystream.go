package worker

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// memoryStream is a stream of HTTP/2 without a descriptor: its request comes as a whole through the ready queue, and what slots
// write goes to its goroutine by memory. A connection of the reactor's that has one is inline (bridge.go), as one of TLS is: whoever
// needs a descriptor calls Worker.open, and from then on it is one end of a socket pair, a tunnel like others.
type memoryStream struct {
	opened bool        // the connection has a descriptor; whose the connection is, that is
	gone   atomic.Bool // the stream's goroutine reads no more

	mu      sync.Mutex
	pending []byte   // of the response
	other   *os.File // of the socket pair, the stream's end; nil: there is none
	ended   bool     // nothing follows
	changed chan struct{}
}

func newMemoryStream() *memoryStream { return &memoryStream{changed: make(chan struct{}, 1)} }

func (m *memoryStream) tell() {
	select {
	case m.changed <- struct{}{}:
	default: // it has not looked since it was told before
	}
}

// write gives the stream a part of the response. False: it does not want it, or has too much of it already.
func (m *memoryStream) write(out, data []byte) (taken, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone.Load() {
		return false, true
	}
	if len(m.pending)+len(out)+len(data) > sealedAtOnce {
		return false, false
	}
	m.pending = append(append(m.pending, out...), data...)
	m.tell()
	return true, false
}

// open makes the stream's connection one with a descriptor.
func (m *memoryStream) open(cn *conn) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	m.opened = true
	if err != nil {
		return err // without a descriptor whoever writes is told
	}
	cn.fd, cn.forks = pair[0], forks()
	other := os.NewFile(uintptr(pair[1]), "HTTP/2 stream")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone.Load() {
		return other.Close()
	}
	m.other = other
	m.tell()
	return nil
}

// end says that nothing follows.
func (m *memoryStream) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.tell()
}

// read reads what has been written, from memory first. It waits until there is something, or the context ends.
func (m *memoryStream) read(ctx context.Context, room []byte) (int, error) {
	for {
		n, other, ended := m.take(room)
		switch {
		case n > 0:
			return n, nil
		case other != nil:
			return readUntil(ctx, other, room)
		case ended:
			return 0, io.EOF
		}
		select {
		case <-m.changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// readUntil reads from a file until a context ends.
func readUntil(ctx context.Context, file *os.File, room []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	attached := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Now()) })
	defer attached()
	return file.Read(room)
}

func (m *memoryStream) take(room []byte) (n int, other *os.File, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n = copy(room, m.pending); n == len(m.pending) {
		m.pending = m.pending[:0]
	} else {
		m.pending = m.pending[n:]
	}
	return n, m.other, m.ended
}

// leave says that the stream's goroutine reads no more.
func (m *memoryStream) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone.Store(true)
	if m.other != nil {
		_ = m.other.Close()
		m.other = nil
	}
}
