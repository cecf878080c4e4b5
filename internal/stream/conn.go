// Package stream has stream sockets, TCP's and unix ones, in Go's poller: accepted, and connected to. Unlike package
// net it sets nothing on a socket that nobody asked for, and tells whether a connection was ever made.
package stream

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is one connection. Reading and writing may be done by two goroutines.
type Conn struct {
	file  *os.File
	raw   syscall.RawConn
	layer *layered // nil: it speaks to the socket itself
	woken atomic.Bool

	reading, writing armed
}

// armed is a deadline that is set, as nanoseconds since 1970; 0: none is.
type armed struct{ at atomic.Int64 }

// near tells whether the deadline that is set serves for a wait of t from now on; if not, it is noted as that.
func (a *armed) near(t time.Duration) (at time.Time, serves bool) {
	before := a.at.Load()
	if t <= 0 {
		a.at.Store(0)
		return at, before == 0
	}
	now := time.Now()
	at = now.Add(t)
	if late := at.UnixNano() - before; before != 0 && late >= 0 && late < int64(t/nearness) {
		return at, true
	}
	a.at.Store(at.UnixNano())
	return at, false
}

// nearness is the part of a timeout by which it may be shorter: setting a timer costs more than looking at the clock.
const nearness = 16

// New makes one of a connected descriptor, which it owns from now on, also after an error.
func New(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return newConn(fd)
}

func newConn(fd int) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "socket")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Conn{file: file, raw: raw}, nil
}

// Rest ends what Wake has begun.
func (c *Conn) Rest() { c.woken.Store(false) }

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if c.layer != nil {
		return c.layer.Read(p)
	}
	return c.file.Read(p)
}

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if c.layer != nil {
		return c.layer.Write(p)
	}
	return c.file.Write(p)
}

// Close closes it. Whoever reads or writes gets os.ErrClosed.
func (c *Conn) Close() error {
	if c.layer != nil {
		_ = c.layer.Close() // one that has gone needs no word
	}
	return c.file.Close()
}

// Detach closes the connection but for another descriptor of its socket, which does not block and belongs to the caller.
func (c *Conn) Detach() (fd int, err error) {
	failed := c.raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(failed, err); err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	_ = c.Close()
	return fd, nil
}

// ReadTimeout bounds the reads that follow; 0: they may take for ever.
func (c *Conn) ReadTimeout(t time.Duration) {
	if at, serves := c.reading.near(t); !serves {
		_ = c.file.SetReadDeadline(at) // it fails for closed ones
	}
}

// WriteTimeout bounds the writes that follow; 0: they may take for ever.
func (c *Conn) WriteTimeout(t time.Duration) {
	if at, serves := c.writing.near(t); !serves {
		_ = c.file.SetWriteDeadline(at)
	}
}

// ReadInto waits for something to read as WaitReadable does, and reads it at once into what buffer returns, which is
// called for each try; unused takes that back where nothing has come yet. n is 0 at the end, and with an error.
func (c *Conn) ReadInto(buffer func() []byte, unused func()) (n int, err error) {
	if c.layer != nil {
		if err := c.layer.wait(); err != nil {
			return 0, err
		}
		if n, err = c.layer.Read(buffer()); n == 0 {
			unused()
		}
		return n, err
	}
	failed := c.raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), buffer())
			if n > 0 {
				return true
			}
			unused()
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if failed != nil {
		return 0, failed
	}
	return max(n, 0), err
}

// ErrWoken is what WaitReadableFor returns after Wake.
var ErrWoken = errors.New("given up")

// Wake ends a read that waits, with os.ErrDeadlineExceeded, and all calls of WaitReadableFor.
func (c *Conn) Wake() {
	c.woken.Store(true)
	c.reading.at.Store(1)
	_ = c.file.SetReadDeadline(time.Unix(1, 0))
}

func deadline(t time.Duration) (at time.Time) {
	if t > 0 {
		at = time.Now().Add(t)
	}
	return at
}

// CloseWrite tells the other side that nothing more comes.
func (c *Conn) CloseWrite() {
	if c.layer != nil {
		_ = c.layer.CloseWrite()
	}
	_ = c.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) }) // one that has gone needs no word
}

// Reset has the other side see an error, as what it has got is not whole.
func (c *Conn) Reset() {
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // not for unix sockets
	})
	_ = c.file.Close()
}

// WaitReadable waits until there is something to read, or the end, without a buffer in hand.
func (c *Conn) WaitReadable() error {
	if c.layer != nil {
		return c.layer.wait()
	}
	return c.raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n != 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// Idle tells whether a connection that waits for its next use can be used: it is open, and nothing has come.
func (c *Conn) Idle() bool {
	idle := false
	err := c.raw.Control(func(fd uintptr) {
		idle = Silent(int(fd))
	})
	return err == nil && idle
}

// Silent tells whether nothing has come on a socket, not even its end.
func Silent(fd int) bool {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// Linger sends the last of what there is to send, and reads for a moment what the other side has sent meanwhile: a
// connection that is closed with that unread is reset, and what the other side has not read yet is lost to it.
func (c *Conn) Linger() {
	const lingerTime, lingerReads = 500 * time.Millisecond, 64
	c.CloseWrite()
	c.ReadTimeout(lingerTime)
	buffer := make([]byte, 8192)
	for range lingerReads {
		if _, err := c.Read(buffer); err != nil {
			break
		}
	}
}

// ErrRefused is wrapped by the errors of connections that were never made: the other side has seen nothing.
var ErrRefused = errors.New("no connection")

func refused(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }

// WaitReadableFor is WaitReadable for as long as timeout at most (0: for ever), and os.ErrDeadlineExceeded after that.
func (c *Conn) WaitReadableFor(timeout time.Duration) error {
	c.ReadTimeout(timeout)
	if c.woken.Load() { // maybe just before the new deadline
		return ErrWoken
	}
	err := c.WaitReadable()
	if c.woken.Load() {
		return ErrWoken
	}
	return err
}

// ReadFor is Read for as long as timeout at most (0: for ever); ErrWoken after Wake.
func (c *Conn) ReadFor(p []byte, timeout time.Duration) (int, error) {
	c.ReadTimeout(timeout)
	if c.woken.Load() {
		return 0, ErrWoken
	}
	return c.Read(p)
}
