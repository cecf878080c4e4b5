package stream

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Waits for a unix socket whose queue is full: connect fails then at once.
const (
	firstWait = time.Millisecond
	mostWait  = 20 * time.Millisecond
)

// Dial connects to host:port, the path of a unix socket, or @abstract. timeout 0: it may take for ever. All errors
// wrap ErrRefused.
func Dial(address string, timeout time.Duration) (*Conn, error) {
	end := deadline(timeout)
	if colon := isTCP(address); colon >= 0 {
		return dialTCP(address, colon, end)
	}
	c, err := dialUnix(address, end)
	if errors.Is(err, unix.ECONNREFUSED) && strings.HasPrefix(address, "@") { // uWSGI's own names end with a NUL
		return dialUnix(address+"\x00", end)
	}
	return c, err
}

// Start begins to connect to an address that needs no name to be looked up: a descriptor that does not block, and whether it
// is connected already. The errors are those of connect(2); errors.ErrUnsupported: that address needs Dial.
func Start(address string) (fd int, connected bool, err error) {
	if isTCP(address) >= 0 {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return -1, false, errors.ErrUnsupported
		}
		family, to := sockaddr(at)
		return start(family, to)
	}
	return start(unix.AF_UNIX, &unix.SockaddrUnix{Name: address})
}

// Connected tells what has become of a connection that was begun, once it is ready to be written to.
func Connected(fd int) error {
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case number != 0:
		return syscall.Errno(number)
	}
	return nil
}

// isTCP is where the port of host:port begins, with its colon; -1: it is the address of a unix socket.
func isTCP(address string) int {
	if strings.HasPrefix(address, "@") || strings.Contains(address, "/") {
		return -1
	}
	return strings.LastIndexByte(address, ':')
}

func sockaddr(at netip.AddrPort) (family int, to unix.Sockaddr) {
	ip, port := at.Addr().Unmap(), int(at.Port())
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
}

func dialTCP(address string, colon int, end time.Time) (*Conn, error) {
	host := strings.Trim(address[:colon], "[]")
	if host == "" {
		host = "127.0.0.1"
	}
	at, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, address[colon+1:]))
	if err != nil {
		return nil, refused(err)
	}
	family, to := sockaddr(at.AddrPort())
	return dial(family, to, end)
}

func dialUnix(address string, end time.Time) (*Conn, error) {
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		c, err := dial(unix.AF_UNIX, &unix.SockaddrUnix{Name: address}, end)
		if !errors.Is(err, unix.EAGAIN) {
			return c, err
		}
		if !end.IsZero() && time.Now().Add(wait).After(end) {
			return nil, refused(os.ErrDeadlineExceeded)
		}
		time.Sleep(wait)
	}
}

func dial(family int, address unix.Sockaddr, end time.Time) (*Conn, error) {
	fd, connected, err := start(family, address)
	if err != nil {
		return nil, refused(err)
	}
	c, failed := newConn(fd)
	if failed != nil {
		return nil, refused(failed)
	}
	if connected {
		return c, nil
	}
	if err := c.awaitConnected(end); err != nil {
		_ = c.Close()
		return nil, refused(err)
	}
	return c, nil
}

func start(family int, address unix.Sockaddr) (fd int, connected bool, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, os.NewSyscallError("socket", err)
	}
	if family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	err = unix.Connect(fd, address)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return -1, false, err
	}
	return fd, err == nil, nil
}

// awaitConnected waits until the connection is made, or has failed.
func (c *Conn) awaitConnected(end time.Time) error {
	_ = c.file.SetWriteDeadline(end)
	var failure error
	err := c.raw.Write(func(fd uintptr) bool {
		if failure = Connected(int(fd)); failure != nil {
			return true
		}
		_, err := unix.Getpeername(int(fd))
		return err == nil // ENOTCONN: it is still on its way
	})
	_ = c.file.SetWriteDeadline(time.Time{})
	return errors.Join(err, failure)
}
