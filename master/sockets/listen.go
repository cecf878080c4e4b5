package sockets

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

func (o *Opener) listen(address string) (int, error) {
	if number, is := strings.CutPrefix(address, givenPrefix); is {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 0 {
			return -1, fmt.Errorf("%q is no descriptor", number)
		}
		return fd, nil
	}
	if udp, is := strings.CutPrefix(address, udpPrefix); is {
		return bindUDP(o.Config, udp)
	}
	if path, is := strings.CutPrefix(address, datagramPrefix); is {
		return o.listenUnix(path, unix.SOCK_DGRAM)
	}
	if host, port, isTCP := SplitAddress(address); isTCP {
		return listenTCP(o.Config, host, port)
	}
	return o.listenUnix(address, unix.SOCK_STREAM)
}

func listenTCP(cfg *uwsgiopts.Config, host, port string) (fd int, err error) {
	address, family, err := resolve(host, port)
	if err != nil {
		return -1, err
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer closeOn(&err, fd)
	for _, o := range []struct {
		on                   bool
		level, option, value int
	}{
		{true, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{cfg.ReusePort, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{cfg.Freebind, unix.IPPROTO_IP, unix.IP_FREEBIND, 1},
		{cfg.SoKeepalive, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{cfg.SoSndbuf > 0, unix.SOL_SOCKET, unix.SO_SNDBUF, cfg.SoSndbuf},
		{cfg.SoRcvbuf > 0, unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.SoRcvbuf},
		{cfg.TCPFastOpen > 0, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, cfg.TCPFastOpen},
	} {
		if o.on {
			if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
				return -1, os.NewSyscallError("setsockopt", err)
			}
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, cfg.Listen); err != nil {
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// bindUDP opens a socket of UDP.
func bindUDP(cfg *uwsgiopts.Config, at string) (fd int, err error) {
	host, port, _ := SplitAddress(at)
	address, family, err := resolve(host, port)
	if err != nil {
		return -1, err
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer closeOn(&err, fd)
	if cfg.Freebind {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// resolve finds the address of a host; "" and "*" are all addresses of IPv4.
func resolve(host, port string) (address unix.Sockaddr, family int, err error) {
	if host == "" || host == "*" {
		host = "0.0.0.0"
	}
	resolved, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, 0, err
	}
	at := resolved.AddrPort()
	if ip := at.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}, unix.AF_INET6, nil
}

// listenUnix opens a unix socket: a listening one, or one of datagrams.
func (o *Opener) listenUnix(name string, kind int) (fd int, err error) {
	path := name
	if !strings.HasPrefix(name, "@") {
		path = paths.In(o.Dir, name)
		if err := Claim(path, kind, o.Config.UnixSocketTakeover); err != nil {
			return -1, err
		}
	}
	if fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer closeOn(&err, fd)
	if kind == unix.SOCK_DGRAM { // before anybody can send: what came without a sender would look like root's
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if !strings.HasPrefix(name, "@") {
		defer func() {
			if err != nil {
				_ = os.Remove(path)
			}
		}()
		if err := setAccess(o.Config, path); err != nil {
			return -1, err
		}
	}
	if kind == unix.SOCK_DGRAM {
		return fd, nil
	}
	if err := unix.Listen(fd, o.Config.Listen); err != nil {
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// closeOn closes fd when the function that deferred it fails.
func closeOn(err *error, fd int) {
	if *err != nil {
		_ = unix.Close(fd)
	}
}

// setAccess applies --chmod-socket and --chown-socket; without the latter a root
// that will change to another user gives the socket to that one.
func setAccess(cfg *uwsgiopts.Config, path string) error {
	if cfg.ChmodSocket >= 0 {
		if err := os.Chmod(path, fs.FileMode(cfg.ChmodSocket)); err != nil {
			return fmt.Errorf("chmod-socket: %w", err)
		}
	}
	owner := cfg.ChownSocket
	if owner == "" && os.Geteuid() == 0 && (cfg.UID != "" || cfg.GID != "") {
		owner = cfg.UID + ":" + cfg.GID
	}
	if owner == "" {
		return nil
	}
	name, group, _ := strings.Cut(owner, ":")
	uid, gid := -1, -1
	var err error
	if name != "" {
		if uid, err = uwsgiopts.LookupUID(name); err != nil {
			return fmt.Errorf("chown-socket: %w", err)
		}
	}
	if group != "" {
		if gid, err = uwsgiopts.LookupGID(group); err != nil {
			return fmt.Errorf("chown-socket: %w", err)
		}
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("chown-socket: %w", err)
	}
	return nil
}
