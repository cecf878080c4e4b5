package worker

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// TLS has a connection in one of three states. First a goroutine shakes hands (handshake.go). Then a slot reads and writes
// through crypto/tls on the descriptor, which never blocks: a request that comes as a whole, and a response that is taken
// as a whole, cost no switch between threads. For all else the connection is bridged (bridge.go): from then on its
// descriptor is one end of a socket pair, which speaks in the clear, and whoever uses it need not know of TLS.

// oneRecord is what a record of TLS holds at most, in bytes (RFC 8446, 5.1).
const oneRecord = 16 << 10

// sealedAtOnce is the largest response that a slot encrypts by itself, in bytes; what the client does not take of it waits
// in memory.
const sealedAtOnce = 128 << 10

// secure is TLS on one connection.
type secure struct {
	conn    *tls.Conn
	wire    wire
	ready   bool // hands were shaken
	bridged bool
	over    bool // the client has said that it sends no more, or something is broken
	raw     int  // the client's descriptor, once the connection's is another one
}

// sealing is room for what is encrypted at once. Connections borrow it, or each that idles would keep its own.
type sealing struct{ joined, sealed []byte }

var sealings = sync.Pool{New: func() any { return new(sealing) }}

// wire is what crypto/tls takes for the network. It belongs to a slot, which never waits (stream is nil): what is written stays
// in out, and reading ends at errAgain, behind which crypto/tls can go on. Or to goroutines, which do wait.
type wire struct {
	fd     int
	dry    bool // a read has emptied the socket
	out    []byte
	before []byte // what was read before the handshake, and belongs to it

	stream  *os.File
	timeout time.Duration // of each write to the stream
	mu      sync.Mutex    // guards out while there is a stream
}

// again is the error of a read that would block.
type again struct{}

func (again) Error() string   { return "there is nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true } // crypto/tls keeps what it has of a record

var errAgain net.Error = again{}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.before) > 0 {
		n := copy(p, w.before)
		w.before = w.before[n:]
		return n, nil
	}
	if w.stream != nil {
		return w.stream.Read(p)
	}
	if w.dry {
		return 0, errAgain
	}
	n, errno := read(w.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		w.dry = true
		return 0, errAgain
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	w.dry = n < len(p)
	return n, nil
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.stream == nil {
		w.out = append(w.out, p...)
		return len(p), nil
	}
	runtime.Gosched() // what other streams of HTTP/2 have to say meanwhile leaves together
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flushLocked(); err != nil {
		return 0, err
	}
	return w.writeLocked(p)
}

// flush sends what a slot has left, and waits for the client.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushLocked()
}

func (w *wire) flushLocked() error {
	out := w.out
	w.out = nil
	_, err := w.writeLocked(out)
	return err
}

func (w *wire) writeLocked(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return len(p), sendPiece(w.stream, p, w.timeout)
}

// Close implements net.Conn; descriptors are closed by whom they belong to.
func (w *wire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return noAddr{} }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return noAddr{} }

// SetDeadline implements net.Conn: the wire has its own.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.stream == nil {
		return nil
	}
	return w.stream.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn: the wire has its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "tls" }
func (noAddr) String() string  { return "" }

// read takes what there is, as read(2) does: EAGAIN is nothing so far, 0 the end. The end behind some bytes is over, since
// TLS may say it where the socket does not.
func (s *secure) read(room []byte) (int, syscall.Errno) {
	s.wire.dry = false
	have := 0
	for have < len(room) {
		n, err := s.conn.Read(room[have:])
		have += n
		switch {
		case err == nil:
		case err == error(errAgain):
			if len(s.wire.out) > 0 { // an answer of TLS's own, to a request for new keys
				_ = s.drain()
			}
			if have == 0 {
				return 0, syscall.EAGAIN
			}
			return have, 0
		case have > 0:
			s.over = true
			return have, 0 // the next read has the error again
		case errors.Is(err, io.EOF):
			return 0, 0
		default:
			return 0, syscall.ECONNRESET
		}
	}
	return have, 0
}

// seal encrypts, and sends as far as the client takes it. rest: some of it has not left.
func (s *secure) seal(out, data []byte) (rest bool, errno syscall.Errno) {
	room := sealings.Get().(*sealing)
	defer sealings.Put(room)
	if len(s.wire.out) == 0 {
		s.wire.out = room.sealed[:0]
		defer func() {
			room.sealed = nil
			if len(s.wire.out) == 0 {
				room.sealed, s.wire.out = s.wire.out, nil
			}
		}()
	}
	if len(out) > 0 && len(data) > 0 && len(out)+len(data) <= oneRecord {
		room.joined = append(append(room.joined[:0], out...), data...)
		out, data = room.joined, nil
	}
	for _, piece := range [2][]byte{out, data} {
		if len(piece) == 0 {
			continue
		}
		if _, err := s.conn.Write(piece); err != nil {
			return false, syscall.EPIPE
		}
	}
	errno = s.drain()
	return len(s.wire.out) > 0, errno
}

// drain writes what is encrypted, without waiting.
func (s *secure) drain() syscall.Errno {
	w := &s.wire
	for len(w.out) > 0 {
		n, errno := writev(w.fd, w.out, nil)
		switch errno {
		case 0:
			w.out = w.out[:copy(w.out, w.out[n:])]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0
		default:
			w.out = nil
			return errno
		}
	}
	return 0
}

// goodbye tells the client that nothing will follow, if it takes that at once.
func (s *secure) goodbye() {
	if s.ready && !s.bridged {
		_ = s.conn.Close()
		_ = s.drain()
	}
}
