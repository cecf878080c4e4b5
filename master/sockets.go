package master

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// socket is a listening socket. It lives on over reloads and upgrades as long as
// the configuration names it.
type socket struct {
	key      string // what it is found by again: its address as written
	protocol string
	name     string // as shown in the log
	port     string
	path     string // of a unix socket in the file system
	inode    uint64

	// fd is kept as a number: as an os.File it would be in Go's poller, and every
	// connection, which is the workers' business, would wake the master.
	fd int
}

// Sockets that workers do not serve: others stand for a shared one; on a stats one the master answers.
const (
	protocolShared = "shared"
	protocolStats  = "stats"
)

// deferSeconds is how long a connection without a byte stays the kernel's.
const deferSeconds = 4

// openSockets opens what cfg names. Sockets that are open already, here or in the
// master that this one takes over from, are kept.
func (m *master) openSockets(cfg *uwsgiopts.Config) (opened []*socket, err error) {
	defer func() {
		if err != nil {
			closeUnused(opened, m.sockets)
		}
	}()
	shared := make([]*socket, len(cfg.SharedSockets))
	for i, address := range cfg.SharedSockets {
		if shared[i], err = m.openSocket(cfg, uwsgiopts.Socket{Protocol: protocolShared, Address: address}); err != nil {
			return opened, err
		}
		opened = append(opened, shared[i])
		logf("uwsgi shared socket %d bound to %s fd %d", i, shared[i].name, shared[i].fd)
	}
	for _, want := range cfg.Sockets {
		if number, is := strings.CutPrefix(want.Address, "="); is {
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n >= len(shared) {
				return opened, fmt.Errorf("socket %s: there is no such shared socket", want.Address)
			}
			mapped := *shared[n]
			mapped.protocol, mapped.key = want.Protocol, want.Address
			opened = append(opened, &mapped)
			logf("uwsgi socket %d mapped to shared socket %d (%s)", len(opened)-1-len(shared), n, mapped.name)
			continue
		}
		s, err := m.openSocket(cfg, want)
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	activated, err := m.activated(cfg, opened)
	opened = append(opened, activated...)
	if err != nil {
		return opened, err
	}
	if len(opened) == 0 && isListener(0) {
		s, err := m.openSocket(cfg, uwsgiopts.Socket{Protocol: cfg.DefaultProtocol(), Address: "fd://0"})
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	if len(opened) == 0 {
		return nil, errors.New("The -s/--socket option is missing and stdin is not a socket.") //nolint:staticcheck // uWSGI's line, which people grep
	}
	for _, address := range cfg.Stats {
		s, err := m.openSocket(cfg, uwsgiopts.Socket{Protocol: protocolStats, Address: address})
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	m.logSockets(opened)
	return opened, nil
}

func (m *master) logSockets(opened []*socket) {
	number := 0
	for _, s := range opened {
		if s.protocol == protocolShared || s.protocol == protocolStats || strings.HasPrefix(s.key, "=") {
			continue
		}
		kind := "TCP"
		if s.path != "" || strings.HasPrefix(s.name, "@") {
			kind = "UNIX"
		}
		if s.protocol == "http-router" {
			logf("uWSGI http bound on %s fd %d", s.name, s.fd)
			continue
		}
		verb := "bound to " + kind + " address"
		if m.find(s.key) != nil || m.upgrader.second {
			verb = "inherited " + map[string]string{"TCP": "INET", "UNIX": "UNIX"}[kind] + " address"
		}
		auto := ""
		if strings.HasSuffix(s.key, ":0") {
			auto = " (port auto-assigned)"
		}
		logf("uwsgi socket %d %s %s%s fd %d", number, verb, s.name, auto, s.fd)
		number++
	}
}

func (m *master) find(key string) *socket {
	for _, s := range m.sockets {
		if s.key == key {
			return s
		}
	}
	return nil
}

func (m *master) openSocket(cfg *uwsgiopts.Config, want uwsgiopts.Socket) (*socket, error) {
	s := &socket{key: want.Address, protocol: want.Protocol}
	if known := m.find(s.key); known != nil {
		kept := *known
		kept.protocol = want.Protocol
		return &kept, nil
	}
	var err error
	if s.fd = m.upgrader.inherited(s.key); s.fd < 0 {
		if s.fd, err = listen(cfg, s.key); err != nil {
			return nil, fmt.Errorf("socket %s: %w", want.Address, err)
		}
		if want.Protocol == "uwsgi" { // a front end sends at once: accepting before that costs two looks
			_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds) // not for unix sockets
		}
	}
	if err := s.describe(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// describe finds out name and port from the socket itself.
func (s *socket) describe(cfg *uwsgiopts.Config) error {
	address, err := unix.Getsockname(s.fd)
	if err != nil {
		return fmt.Errorf("socket %s: %w", s.key, err)
	}
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return fmt.Errorf("socket %s: %w", s.key, err)
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		s.port = strconv.Itoa(a.Port)
		s.name = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		s.port = strconv.Itoa(a.Port)
		s.name = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		s.port, s.name = "80", a.Name
		if !strings.HasPrefix(a.Name, "@") && a.Name != "" {
			s.path = absolute(workDir(cfg), a.Name)
			if _, _, isTCP := splitAddress(s.key); !isTCP && !strings.Contains(s.key, ":") {
				s.name = s.key // as it was written
			}
			var info unix.Stat_t
			if err := unix.Stat(s.path, &info); err == nil {
				s.inode = info.Ino
			}
		}
	}
	if strings.HasPrefix(s.key, ":") && s.port != "" && s.protocol != "http-router" {
		s.name = ":" + s.port
	}
	return nil
}

// stillOurs: the file has not been replaced by somebody else's.
func (s *socket) stillOurs() bool {
	var info unix.Stat_t
	return unix.Stat(s.path, &info) == nil && info.Ino == s.inode && info.Mode&unix.S_IFMT == unix.S_IFSOCK
}

func listen(cfg *uwsgiopts.Config, address string) (int, error) {
	if number, is := strings.CutPrefix(address, "fd://"); is {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 0 {
			return -1, fmt.Errorf("%q is no descriptor", number)
		}
		return fd, nil
	}
	if host, port, isTCP := splitAddress(address); isTCP {
		return listenTCP(cfg, host, port)
	}
	return listenUnix(cfg, address)
}

// splitAddress tells host:port from the name of a unix socket.
func splitAddress(address string) (host, port string, isTCP bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || strings.HasPrefix(address, "@") || strings.Contains(address, "/") {
		return "", "", false
	}
	return strings.Trim(address[:colon], "[]"), address[colon+1:], true
}

func listenTCP(cfg *uwsgiopts.Config, host, port string) (fd int, err error) {
	if host == "" || host == "*" {
		host = "0.0.0.0"
	}
	resolved, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return -1, err
	}
	at := resolved.AddrPort()
	var address unix.Sockaddr
	family := unix.AF_INET
	if ip := at.Addr().Unmap(); ip.Is4() {
		address = &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	} else {
		family = unix.AF_INET6
		address = &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16()}
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

func listenUnix(cfg *uwsgiopts.Config, name string) (fd int, err error) {
	path := name
	if !strings.HasPrefix(name, "@") {
		path = absolute(workDir(cfg), name)
		if err := removeStale(path); err != nil {
			return -1, err
		}
	}
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer closeOn(&err, fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if !strings.HasPrefix(name, "@") {
		if err := setAccess(cfg, path); err != nil {
			return -1, err
		}
	}
	if err := unix.Listen(fd, cfg.Listen); err != nil {
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

// removeStale removes a socket that a dead server has left. Other kinds of files stay:
// bind will say that they are in the way.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode()&os.ModeSocket != 0 {
		err = os.Remove(path)
	}
	return err
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

// activated returns the sockets that systemd has passed and no option names.
// They are kept over reloads: nothing else would know of them.
func (m *master) activated(cfg *uwsgiopts.Config, opened []*socket) ([]*socket, error) {
	var found []*socket
	for _, s := range m.sockets {
		if strings.HasPrefix(s.key, "systemd:") {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	for i, file := range activation.Files(true) {
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		number := int(file.Fd())
		file.Close()
		if err != nil {
			return found, fmt.Errorf("socket from systemd: %w", err)
		}
		s := &socket{key: "systemd:" + strconv.Itoa(i), protocol: cfg.DefaultProtocol(), fd: fd}
		if err := s.describe(cfg); err != nil {
			return found, err
		}
		taken := false
		for _, o := range opened {
			taken = taken || o.key == "fd://"+strconv.Itoa(number)
		}
		if !taken {
			found = append(found, s)
		}
	}
	return found, nil
}

func isListener(fd int) bool {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listening == 1
}

// unused returns those of old that have no part in kept, one for each descriptor.
func unused(old, kept []*socket) []*socket {
	seen := map[int]bool{}
	for _, k := range kept {
		seen[k.fd] = true
	}
	var out []*socket
	for _, s := range old {
		if !seen[s.fd] {
			seen[s.fd] = true
			out = append(out, s)
		}
	}
	return out
}

// closeUnused closes those of old that have no part in kept.
func closeUnused(old, kept []*socket) {
	for _, s := range unused(old, kept) {
		_ = unix.Close(s.fd)
	}
}

// retireUnused has connections refused from now on, though workers that finish their
// requests have the socket too. What others have passed to us is theirs, and only closed.
func retireUnused(old, kept []*socket) {
	for _, s := range unused(old, kept) {
		if !strings.HasPrefix(s.key, "fd://") && !strings.HasPrefix(s.key, "systemd:") {
			_ = unix.Shutdown(s.fd, unix.SHUT_RD)
		}
		_ = unix.Close(s.fd)
	}
}
