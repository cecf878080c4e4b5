package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// Opener opens what a configuration names.
type Opener struct {
	Config  *uwsgiopts.Config
	Dir     string    // what relative paths of unix sockets relate to
	Current []*Socket // open already: those that are named again are kept

	Inheritance *Inheritance // what the previous master has passed on; nil: there was none
	Logf        func(format string, args ...any)

	opened    []*Socket
	activated []*Socket // what systemd has passed, and no option has named yet
}

// deferSeconds is how long a connection without a byte stays the kernel's.
const deferSeconds = 4

// OpenAll opens all sockets and says so in the log. Sockets that are open already, here or in
// the master that this one takes over from, are kept. After an error nothing new is open.
func (o *Opener) OpenAll() ([]*Socket, error) {
	o.opened = nil
	err := o.findActivated()
	if err == nil {
		err = o.openAll()
	}
	if err != nil {
		CloseUnused(append(o.opened, o.activated...), o.Current)
		return nil, err
	}
	o.report()
	o.reportFastOpen()
	return o.opened, nil
}

func (o *Opener) openAll() error {
	for i, address := range o.Config.SharedSockets {
		s, err := o.open(uwsgiopts.Socket{Protocol: Shared, Address: address})
		if err != nil {
			return err
		}
		o.Logf("uwsgi shared socket %d bound to %s fd %d", i, s.Name, s.FD)
	}
	shared := o.opened
	attached, err := o.attachZerg()
	if err != nil {
		return err
	}
	named := o.Config.Sockets
	if attached { // one's own are for when there is no server; those of routers are nobody else's
		named = slices.DeleteFunc(slices.Clone(named), func(s uwsgiopts.Socket) bool { return routerOf(s.Protocol) == "" })
	}
	for _, pool := range o.Config.ZergPools {
		for _, address := range pool.Sockets {
			if _, err := o.open(uwsgiopts.Socket{Protocol: Pool, Address: address}); err != nil {
				return err
			}
		}
	}
	for _, want := range named {
		if number, is := strings.CutPrefix(want.Address, "="); is {
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n >= len(shared) {
				return fmt.Errorf("socket %s: there is no such shared socket", want.Address)
			}
			mapped := *shared[n]
			mapped.Key = want.Address
			mapped.serve(want)
			o.opened = append(o.opened, &mapped)
			o.Logf("uwsgi socket %d mapped to shared socket %d (%s)", len(o.opened)-1-len(shared), n, mapped.Name)
			continue
		}
		if _, err := o.open(want); err != nil {
			return err
		}
	}
	for _, s := range o.activated {
		s.serve(uwsgiopts.Socket{Protocol: o.Config.DefaultProtocol()})
		o.opened = append(o.opened, s)
	}
	o.activated = nil
	if err := o.openRouters(); err != nil {
		return err
	}
	if len(o.opened) == 0 && IsListener(0) {
		if _, err := o.open(uwsgiopts.Socket{Protocol: o.Config.DefaultProtocol(), Address: givenPrefix + "0"}); err != nil {
			return err
		}
	}
	if len(o.opened) == 0 && !o.Config.OnlySupervises() {
		return errors.New("The -s/--socket option is missing and stdin is not a socket.") //nolint:staticcheck // uWSGI's line, which people grep
	}
	return o.openOfMaster()
}

// openOfMaster opens those on which the master answers.
func (o *Opener) openOfMaster() error {
	for _, kind := range []struct {
		protocol  string
		addresses []string
	}{{Stats, o.Config.Stats}, {Prometheus, o.Config.Prometheus}, {StatusPage, o.Config.StatusPage}} {
		for _, address := range kind.addresses {
			if _, err := o.open(uwsgiopts.Socket{Protocol: kind.protocol, Address: address}); err != nil {
				return err
			}
		}
	}
	if address := o.Config.SNMPAddress; address != "" {
		if _, err := o.open(uwsgiopts.Socket{Protocol: SNMP, Address: udpPrefix + address}); err != nil {
			return err
		}
	}
	return nil
}

// report says what workers will serve.
func (o *Opener) report() {
	number := 0
	for _, s := range o.opened {
		if kind := s.Router(); kind != "" {
			o.reportRouter(kind, s)
		}
		if !s.ForWorkers() || s.Mapped() || strings.HasPrefix(s.Key, zergPrefix) {
			continue
		}
		if s.ForRouter() {
			o.Logf("uWSGI http bound on %s fd %d", s.Name, s.FD)
			continue
		}
		verb := "bound to TCP address"
		switch {
		case s.inherited && s.Unix():
			verb = "inherited UNIX address"
		case s.inherited:
			verb = "inherited INET address"
		case s.Unix():
			verb = "bound to UNIX address"
		}
		auto := ""
		if strings.HasSuffix(s.Key, ":0") {
			auto = " (port auto-assigned)"
		}
		o.Logf("uwsgi socket %d %s %s%s fd %d", number, verb, s.Name, auto, s.FD)
		number++
	}
}

// open adds one socket to those that are opened: one that is there already, else a new one.
func (o *Opener) open(want uwsgiopts.Socket) (*Socket, error) {
	s, err := o.existing(want)
	if err == nil && s == nil {
		s, err = o.make(want)
	}
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", want.Address, err)
	}
	s.fastOpen = o.Config.TCPFastOpen
	o.opened = append(o.opened, s)
	return s, nil
}

// make makes a socket that nobody has yet.
func (o *Opener) make(want uwsgiopts.Socket) (*Socket, error) {
	fd, err := o.listen(want.Address)
	if err != nil {
		return nil, err
	}
	if want.Protocol == "uwsgi" && !o.Config.NoDeferAccept { // a front end sends at once: accepting before that costs two looks
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds) // not for unix sockets
	}
	s := &Socket{Key: want.Address, FD: fd}
	s.overflows, _ = listenOverflows()
	s.serve(want)
	if !s.Given() {
		s.owner = start
	}
	if err := s.describe(o.Dir); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// existing finds the socket among those that are open here, that the previous master has left,
// that systemd has passed; nil: it is nowhere. A unix socket is found by its path as well, in
// whatever words that was given.
func (o *Opener) existing(want uwsgiopts.Socket) (*Socket, error) {
	path := o.path(want.Address)
	for _, s := range o.opened {
		switch {
		case path == "" || s.Path != path:
		case s.Protocol != want.Protocol || (s.TLS == nil) != (want.TLS == nil):
			return nil, errors.New("it is named twice, for two protocols")
		default: // the option was repeated
			again := *s
			return &again, nil
		}
	}
	for _, s := range o.Current {
		if !strings.HasPrefix(s.Key, activatedPrefix) && !strings.HasPrefix(s.Key, zergPrefix) && (s.Key == want.Address || path != "" && s.Path == path && !s.Given()) {
			return o.keep(s, want), nil
		}
	}
	if fd := o.Inheritance.Take(want.Address); fd >= 0 {
		return o.inherit(want, want.Address, fd)
	}
	if key := o.Inheritance.keyOf(path); key != "" {
		return o.inherit(want, key, o.Inheritance.Take(key))
	}
	if s := o.takeActivated(want.Address); s != nil {
		s.serve(want)
		return s, nil
	}
	return nil, nil
}

// keep keeps an open socket. One whose file somebody has removed is replaced, as nobody finds it.
func (o *Opener) keep(s *Socket, want uwsgiopts.Socket) *Socket {
	if _, err := os.Lstat(s.Path); s.owner == ours && s.Path != "" && errors.Is(err, fs.ErrNotExist) {
		o.Logf("unix socket %s has been removed by somebody else: making it again", s.Path)
		fresh, err := o.make(want)
		if err == nil {
			return fresh
		}
		o.Logf("socket %s: %v", want.Address, err)
	}
	kept := *s
	kept.Key, kept.inherited = want.Address, true
	kept.serve(want)
	return &kept
}

// inherit takes what the previous master had under key.
func (o *Opener) inherit(want uwsgiopts.Socket, key string, fd int) (*Socket, error) {
	s := &Socket{Key: want.Address, FD: fd, inherited: true}
	s.serve(want)
	if err := s.describe(o.Dir); err != nil {
		return nil, err
	}
	if file, known := o.Inheritance.file(key); known {
		s.file = file
	}
	return s, nil
}

// path is where a unix socket of that address is in the file system; "": nowhere.
func (o *Opener) path(address string) string {
	address = strings.TrimPrefix(address, datagramPrefix)
	if _, _, isTCP := SplitAddress(address); isTCP || strings.HasPrefix(address, "@") || strings.HasPrefix(address, givenPrefix) {
		return ""
	}
	return paths.In(o.Dir, address)
}

// sameAddress tells whether a socket with that name, as the kernel gives it, listens on address.
func sameAddress(name, address string) bool {
	host, port, isTCP := SplitAddress(address)
	bound, err := netip.ParseAddrPort(name)
	if !isTCP || err != nil || port != strconv.Itoa(int(bound.Port())) {
		return false
	}
	if host == "" || host == "*" {
		return bound.Addr().IsUnspecified()
	}
	wanted, err := net.ResolveIPAddr("ip", host)
	return err == nil && wanted.IP.Equal(bound.Addr().AsSlice())
}
