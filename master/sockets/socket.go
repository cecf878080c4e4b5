// Package sockets opens the listening sockets that a configuration names, describes them,
// keeps them over reloads, passes them on to the next master and closes what is no longer named.
package sockets

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// Protocols of sockets that workers do not serve: other sockets stand for a shared one; on the
// others the master answers.
const (
	Shared     = "shared"
	Stats      = "stats"
	SNMP       = "snmp"        // UDP
	Prometheus = "prometheus"  // HTTP
	StatusPage = "status-page" // likewise
)

// ofMaster tells whether the master answers on sockets of that protocol.
func ofMaster(protocol string) bool {
	return protocol == Stats || protocol == SNMP || protocol == Prometheus || protocol == StatusPage
}

// Socket is a listening socket, or one of UDP. It lives on over reloads and upgrades as long as the
// configuration names it.
type Socket struct {
	Key      string // what it is found by again: its address as written
	Protocol string
	TLS      *uwsgiopts.Certificate // nil: it is spoken in the clear
	Name     string                 // as shown in the log
	Port     string
	Path     string // absolute, of a unix socket in the file system

	// FD is kept as a number: as an os.File it would be in Go's poller, and every
	// connection, which is the workers' business, would wake the master.
	FD int

	file      fileID
	owner     owner
	fastOpen  int    // --tcp-fast-open, of the configuration that it was opened or kept for
	inherited bool   // it was open before this configuration was read
	given     string // from systemd: its address by number, as --socket may name it
	dropped   uint32 // by the kernel, when Overflowed looked last
	overflows uint64 // of all queues, likewise
	looked    bool   // Overflowed has
}

// owner tells whose a socket is: who may shut it down and remove its file.
type owner int

const (
	others owner = iota // whoever passed it to us; the master that this one is to take over from
	start               // this start's, or this reload's, whose configuration has not served yet
	ours                // this master's
)

// fileID identifies a file, whatever it is called.
type fileID struct{ device, inode uint64 }

// ForWorkers tells whether workers accept connections from it.
func (s *Socket) ForWorkers() bool {
	return s.Protocol != Shared && !ofMaster(s.Protocol) && s.Protocol != Pool && s.Router() == ""
}

// Unix tells whether it is a unix socket, in the file system or not.
func (s *Socket) Unix() bool { return s.Path != "" || strings.HasPrefix(s.Name, "@") }

// serve makes the socket what its configuration wants it to be.
func (s *Socket) serve(want uwsgiopts.Socket) { s.Protocol, s.TLS = want.Protocol, want.TLS }

// ForRouter tells whether it is one that uWSGI's HTTP router would have.
func (s *Socket) ForRouter() bool { return uwsgiopts.Socket{Protocol: s.Protocol}.Routes() }

// Mapped tells whether it stands for a shared socket.
func (s *Socket) Mapped() bool { return strings.HasPrefix(s.Key, "=") }

// Given tells whether it came as a descriptor: from systemd, on standard input, by --socket fd://N.
func (s *Socket) Given() bool {
	return strings.HasPrefix(s.Key, givenPrefix) || strings.HasPrefix(s.Key, activatedPrefix)
}

// foreign tells whether it stays another process's, whatever this one does with it: of who gave it, or of the zerg server that it comes from.
func (s *Socket) foreign() bool { return s.Given() || strings.HasPrefix(s.Key, zergPrefix) }

const (
	givenPrefix     = "fd://"
	activatedPrefix = "systemd:"
	udpPrefix       = "udp:" // before an address: the same one may be TCP's as well
	datagramPrefix  = "dgram:"
)

// describe finds out name and port from the socket itself; dir is what relative paths relate to.
func (s *Socket) describe(dir string) error {
	address, err := unix.Getsockname(s.FD)
	if err != nil {
		return fmt.Errorf("socket %s: %w", s.Key, err)
	}
	if err := unix.SetNonblock(s.FD, true); err != nil {
		return fmt.Errorf("socket %s: %w", s.Key, err)
	}
	unix.CloseOnExec(s.FD) // of one that came as a descriptor: hooks and daemons are not to hold it
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		s.Port = strconv.Itoa(a.Port)
		s.Name = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		s.Port = strconv.Itoa(a.Port)
		s.Name = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		s.Port, s.Name = "80", a.Name
		if !strings.HasPrefix(a.Name, "@") && a.Name != "" {
			s.Path = paths.In(dir, a.Name)
			if _, _, isTCP := SplitAddress(s.Key); !isTCP && !strings.Contains(s.Key, ":") {
				s.Name = s.Key // as it was written
			} else if path, is := strings.CutPrefix(s.Key, datagramPrefix); is {
				s.Name = path
			}
			s.file, _ = identify(s.Path)
		}
	}
	if strings.HasPrefix(s.Key, ":") && s.Port != "" && !s.ForRouter() {
		s.Name = ":" + s.Port
	}
	return nil
}

// Own makes the sockets this master's: their configuration serves. Those that the previous
// master opened are so from now on too, and whoever connects to a unix one learns our pid.
// What a reload has changed of --tcp-fast-open counts from now on.
func Own(list []*Socket, backlog int) {
	for _, s := range list {
		if s.foreign() {
			continue
		}
		if s.owner == others {
			_ = unix.Listen(s.FD, backlog) // it listens already
		}
		s.owner = ours
		s.setFastOpen()
	}
}

// Disown leaves the sockets to the master that has taken over.
func Disown(list []*Socket) {
	for _, s := range list {
		s.owner = others
	}
}

// RemoveFile removes the file of a unix socket that is ours; removed: it was there, and has not
// been replaced by somebody else's.
func (s *Socket) RemoveFile() (removed bool) {
	if s.Path == "" || s.owner == others {
		return false
	}
	if found, isSocket := identify(s.Path); !isSocket || found != s.file {
		return false
	}
	return unix.Unlink(s.Path) == nil
}

// identify tells which file is at path, and whether it is a socket.
func identify(path string) (id fileID, isSocket bool) {
	var info unix.Stat_t
	if unix.Stat(path, &info) != nil {
		return fileID{}, false
	}
	return fileID{info.Dev, info.Ino}, info.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// SplitAddress tells host:port from the name of a unix socket.
func SplitAddress(address string) (host, port string, isTCP bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || strings.HasPrefix(address, "@") || strings.Contains(address, "/") {
		return "", "", false
	}
	return strings.Trim(address[:colon], "[]"), address[colon+1:], true
}

// IsListener tells whether the descriptor is a listening socket.
func IsListener(fd int) bool {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listening == 1
}

// unused returns those of old that have no part in kept, one for each descriptor.
func unused(old, kept []*Socket) []*Socket {
	seen := map[int]bool{}
	for _, k := range kept {
		seen[k.FD] = true
	}
	var out []*Socket
	for _, s := range old {
		if !seen[s.FD] {
			seen[s.FD] = true
			out = append(out, s)
		}
	}
	return out
}

// CloseUnused closes those of old that have no part in kept, and leaves no file of those that
// never served.
func CloseUnused(old, kept []*Socket) {
	for _, s := range unused(old, kept) {
		if s.owner == start {
			s.RemoveFile()
		}
		if !strings.HasPrefix(s.Key, givenPrefix) { // the next reload may name that descriptor again
			_ = unix.Close(s.FD)
		}
	}
}

// RetireUnused closes those of old that have no part in kept, and returns them. Connections are
// refused from now on, though workers that finish their requests have the socket too; what
// others have passed to us is theirs, and only closed.
func RetireUnused(old, kept []*Socket) (retired []*Socket) {
	retired = unused(old, kept)
	for _, s := range retired {
		if s.owner != others {
			_ = unix.Shutdown(s.FD, unix.SHUT_RD)
		}
		_ = unix.Close(s.FD)
	}
	return retired
}

// Refuse lets clients, and proxies above all, see that nobody answers here any more. A socket
// that others hold goes on queueing: for systemd's next start, for the master that stays.
func Refuse(list []*Socket) {
	for _, s := range list {
		if s.owner != others {
			_ = unix.Shutdown(s.FD, unix.SHUT_RDWR) // ENOTCONN where the kernel does not have it for listeners
		}
	}
}
