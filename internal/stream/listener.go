package stream

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listener accepts connections from a socket that listens already, and that other processes may have too.
type Listener struct {
	file *os.File
	raw  syscall.RawConn
}

// Listen makes one of a descriptor, which it owns.
func Listen(fd int) (*Listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // connections inherit it; unix sockets have none
	file := os.NewFile(uintptr(fd), "listener")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Listener{file, raw}, nil
}

// Accept waits for a connection. peer is not valid for unix sockets. os.ErrClosed after Close.
func (l *Listener) Accept() (c *Conn, peer netip.AddrPort, err error) {
	fd, peer, err := l.AcceptDescriptor()
	if err != nil {
		return nil, peer, err
	}
	c, err = newConn(fd)
	return c, peer, err
}

// AcceptDescriptor is Accept for a descriptor, which does not block and belongs to the caller.
func (l *Listener) AcceptDescriptor() (fd int, peer netip.AddrPort, err error) {
	var from unix.Sockaddr
	failed := l.raw.Read(func(listener uintptr) bool {
		for {
			fd, from, err = unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if !errors.Is(err, unix.ECONNABORTED) && !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case errors.Is(failed, os.ErrDeadlineExceeded):
		return -1, peer, failed
	case failed != nil:
		return -1, peer, os.ErrClosed
	}
	if err != nil {
		return -1, peer, os.NewSyscallError("accept", err)
	}
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		peer = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		peer = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return fd, peer, nil
}

// Close ends Accept. The socket goes on listening where other processes have it.
func (l *Listener) Close() { _ = l.file.Close() }

// Scarce tells whether Accept has failed for want of descriptors or memory: it is worth another try later.
func Scarce(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// Interrupt has Accept return os.ErrDeadlineExceeded until it is called with false.
func (l *Listener) Interrupt(on bool) {
	at := time.Time{}
	if on {
		at = time.Unix(1, 0)
	}
	_ = l.file.SetReadDeadline(at) // it fails for closed ones
}
