package stream

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

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
	var from unix.RawSockaddrAny
	failed := l.raw.Read(func(listener uintptr) bool {
		for {
			fd, err = accept(listener, &from)
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
	return fd, addrPort(&from), nil
}

// accept is accept4(2). It does not wait, so the scheduler need not hear of it.
func accept(listener uintptr, from *unix.RawSockaddrAny) (int, error) {
	size := uint32(unix.SizeofSockaddrAny)
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, listener, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// addrPort is an address of the internet; not valid: it is none.
func addrPort(from *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch from.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(&a.Port))
	}
	return netip.AddrPort{}
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
