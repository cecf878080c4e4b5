package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// socket is a connection whose reads wait in poll(2) on the calling thread. Go's own
// wait in the scheduler, which hands over to another thread and back, is expensive
// for a thread that comes from C, as each does that runs Python.
type socket struct {
	fd            int
	local, remote net.Addr
	deadline      atomic.Pointer[time.Time] // nil: none
	interrupt     atomic.Pointer[Interrupt] // of the call that waits here; nil: none

	mutex  sync.Mutex
	users  int // calls that are using fd
	closed bool
}

// dial connects as net.Dialer does, then takes the descriptor away from Go's poller.
func dial(c context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: time.Minute}
	conn, err := dialer.DialContext(c, network, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("taking the descriptor: %w", err)
	}
	s := &socket{fd: -1, local: conn.LocalAddr(), remote: conn.RemoteAddr()}
	if controlErr := raw.Control(func(fd uintptr) { s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return nil, fmt.Errorf("taking the descriptor: %w", err)
	}
	return s, nil
}

// begin claims fd, so that its number is not reused meanwhile.
func (s *socket) begin() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.users++
	return nil
}

func (s *socket) end() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.users--
	if s.closed && s.users == 0 {
		_ = unix.Close(s.fd)
	}
}

func (s *socket) Read(to []byte) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	for {
		n, err := unix.Read(s.fd, to)
		switch {
		case n > 0:
			return n, nil
		case n == 0 && err == nil:
			if s.late() {
				return 0, os.ErrDeadlineExceeded
			}
			if len(to) == 0 {
				return 0, nil
			}
			return 0, io.EOF
		case errors.Is(err, unix.EAGAIN):
			if err := s.await(unix.POLLIN); err != nil {
				return 0, err
			}
		case !errors.Is(err, unix.EINTR):
			return 0, os.NewSyscallError("read", err)
		}
	}
}

func (s *socket) Write(data []byte) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	written := 0
	for written < len(data) {
		n, err := unix.SendmsgN(s.fd, data[written:], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			written += n
		case errors.Is(err, unix.EAGAIN):
			if err := s.await(unix.POLLOUT); err != nil {
				return written, err
			}
		case !errors.Is(err, unix.EINTR):
			return written, os.NewSyscallError("write", err)
		}
	}
	return written, nil
}

// await waits until the descriptor is ready, or the deadline, or Close.
func (s *socket) await(events int16) error {
	for {
		wait := -1
		if deadline := s.deadline.Load(); deadline != nil {
			left := time.Until(*deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			wait = int(left.Milliseconds()) + 1
		}
		fds, count := [2]unix.PollFd{{Fd: int32(s.fd), Events: events}}, 1
		interrupt := s.interrupt.Load()
		if interrupt != nil {
			fds[1], count = unix.PollFd{Fd: int32(interrupt.FD), Events: unix.POLLIN}, 2
		}
		_, err := unix.Poll(fds[:count], wait)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("poll", err)
		}
		if ended := fds[1].Revents; ended != 0 && (ended&unix.POLLIN == 0 || interrupt.Handle()) {
			s.interrupt.Store(nil)
		}
		if fds[0].Revents != 0 {
			return nil
		}
	}
}

func (s *socket) late() bool {
	deadline := s.deadline.Load()
	return deadline != nil && time.Until(*deadline) <= 0
}

// SetDeadline bounds what waits, or will. When it has passed the connection has ended: pgx does not go on with one
// after a timeout.
func (s *socket) SetDeadline(t time.Time) error {
	if t.IsZero() {
		s.deadline.Store(nil)
		return nil
	}
	kept := &t // with its reading of the monotonic clock
	s.deadline.Store(kept)
	switch {
	case s.late():
		s.shutdown()
	case s.inUse():
		time.AfterFunc(time.Until(t), func() { // poll has begun without it
			if s.deadline.Load() == kept {
				s.shutdown()
			}
		})
	}
	return nil
}

func (s *socket) inUse() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.users > 0
}

// SetReadDeadline is SetDeadline.
func (s *socket) SetReadDeadline(t time.Time) error { return s.SetDeadline(t) }

// SetWriteDeadline is SetDeadline.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }

func (s *socket) shutdown() {
	if s.begin() == nil {
		_ = unix.Shutdown(s.fd, unix.SHUT_RDWR) // it may be gone already
		s.end()
	}
}

// Close wakes readers and writers; the last of them closes the descriptor.
func (s *socket) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.users > 0 {
		_ = unix.Shutdown(s.fd, unix.SHUT_RDWR) // it may be gone already
		return nil
	}
	return os.NewSyscallError("close", unix.Close(s.fd))
}

// LocalAddr is this end's address.
func (s *socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr is the server's address.
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// of is a connection's socket, below TLS; nil: it was not made by dial.
func of(conn *pgconn.PgConn) *socket {
	plain := conn.Conn()
	if secured, ok := plain.(*tls.Conn); ok {
		plain = secured.NetConn()
	}
	s, _ := plain.(*socket)
	return s
}

// Alive tells whether the server still holds a connection that is not in use.
func Alive(conn *pgconn.PgConn) bool {
	if conn.IsClosed() {
		return false
	}
	s := of(conn)
	if s == nil {
		return true
	}
	if s.begin() != nil {
		return false
	}
	defer s.end()
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLRDHUP}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return n == 0 && err == nil
		}
	}
}
