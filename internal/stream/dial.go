package stream

import (
	"errors"
	"net"
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
	if colon := strings.LastIndexByte(address, ':'); colon >= 0 && !strings.HasPrefix(address, "@") && !strings.Contains(address, "/") {
		return dialTCP(address, colon, end)
	}
	c, err := dialUnix(address, end)
	if errors.Is(err, unix.ECONNREFUSED) && strings.HasPrefix(address, "@") { // uWSGI's own names end with a NUL
		return dialUnix(address+"\x00", end)
	}
	return c, err
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
	ip, port := at.AddrPort().Addr().Unmap(), at.Port
	if ip.Is4() {
		return dial(unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}, end)
	}
	return dial(unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: ip.As16()}, end)
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
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, refused(os.NewSyscallError("socket", err))
	}
	if family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	err = unix.Connect(fd, address)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return nil, refused(err)
	}
	c, failed := newConn(fd)
	if failed != nil {
		return nil, refused(failed)
	}
	if err == nil {
		return c, nil
	}
	if err := c.awaitConnected(end); err != nil {
		_ = c.Close()
		return nil, refused(err)
	}
	return c, nil
}

// awaitConnected waits until the connection is made, or has failed.
func (c *Conn) awaitConnected(end time.Time) error {
	_ = c.file.SetWriteDeadline(end)
	var failure error
	err := c.raw.Write(func(fd uintptr) bool {
		number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failure = os.NewSyscallError("getsockopt", err)
		case number != 0:
			failure = syscall.Errno(number)
		default:
			_, err := unix.Getpeername(int(fd))
			return err == nil // ENOTCONN: it is still on its way
		}
		return true
	})
	_ = c.file.SetWriteDeadline(time.Time{})
	return errors.Join(err, failure)
}
