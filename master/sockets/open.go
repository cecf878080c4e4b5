package sockets

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// Opener opens what a configuration names.
type Opener struct {
	Config  *uwsgiopts.Config
	Dir     string    // what relative paths of unix sockets relate to
	Current []*Socket // open already: those that are named again are kept

	Inheritance *Inheritance // what the previous master has passed on; nil: there was none
	Logf        func(format string, args ...any)
}

// deferSeconds is how long a connection without a byte stays the kernel's.
const deferSeconds = 4

// OpenAll opens all sockets and says so in the log. Sockets that are open already, here or in
// the master that this one takes over from, are kept. After an error nothing new is open.
func (o *Opener) OpenAll() (opened []*Socket, err error) {
	defer func() {
		if err != nil {
			CloseUnused(opened, o.Current)
		}
	}()
	shared := make([]*Socket, len(o.Config.SharedSockets))
	for i, address := range o.Config.SharedSockets {
		if shared[i], err = o.open(uwsgiopts.Socket{Protocol: Shared, Address: address}); err != nil {
			return opened, err
		}
		opened = append(opened, shared[i])
		o.Logf("uwsgi shared socket %d bound to %s fd %d", i, shared[i].Name, shared[i].FD)
	}
	for _, want := range o.Config.Sockets {
		if number, is := strings.CutPrefix(want.Address, "="); is {
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n >= len(shared) {
				return opened, fmt.Errorf("socket %s: there is no such shared socket", want.Address)
			}
			mapped := *shared[n]
			mapped.Protocol, mapped.Key = want.Protocol, want.Address
			opened = append(opened, &mapped)
			o.Logf("uwsgi socket %d mapped to shared socket %d (%s)", len(opened)-1-len(shared), n, mapped.Name)
			continue
		}
		s, err := o.open(want)
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	activated, err := o.activated(opened)
	opened = append(opened, activated...)
	if err != nil {
		return opened, err
	}
	if len(opened) == 0 && IsListener(0) {
		s, err := o.open(uwsgiopts.Socket{Protocol: o.Config.DefaultProtocol(), Address: givenPrefix + "0"})
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	if len(opened) == 0 {
		return nil, errors.New("The -s/--socket option is missing and stdin is not a socket.") //nolint:staticcheck // uWSGI's line, which people grep
	}
	for _, address := range o.Config.Stats {
		s, err := o.open(uwsgiopts.Socket{Protocol: Stats, Address: address})
		if err != nil {
			return opened, err
		}
		opened = append(opened, s)
	}
	o.report(opened)
	return opened, nil
}

// report says what workers will serve.
func (o *Opener) report(opened []*Socket) {
	number := 0
	for _, s := range opened {
		if !s.ForWorkers() || s.Mapped() {
			continue
		}
		if s.Protocol == "http-router" {
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

// current is the open socket of that key.
func (o *Opener) current(key string) *Socket {
	for _, s := range o.Current {
		if s.Key == key {
			return s
		}
	}
	return nil
}

func (o *Opener) open(want uwsgiopts.Socket) (*Socket, error) {
	if known := o.current(want.Address); known != nil {
		kept := *known
		kept.Protocol, kept.inherited = want.Protocol, true
		return &kept, nil
	}
	s := &Socket{Key: want.Address, Protocol: want.Protocol}
	var err error
	if s.FD = o.Inheritance.Take(s.Key); s.FD >= 0 {
		s.inherited = true
	} else {
		if s.FD, err = o.listen(s.Key); err != nil {
			return nil, fmt.Errorf("socket %s: %w", want.Address, err)
		}
		if !s.Given() {
			s.owner = start
		}
		if want.Protocol == "uwsgi" { // a front end sends at once: accepting before that costs two looks
			_ = unix.SetsockoptInt(s.FD, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds) // not for unix sockets
		}
	}
	if err := s.describe(o.Dir); err != nil {
		return nil, err
	}
	if file, known := o.Inheritance.file(s.Key); known {
		s.file = file
	}
	return s, nil
}

// activated returns the sockets that systemd has passed and no option names.
// They are kept over reloads: nothing else would know of them.
func (o *Opener) activated(opened []*Socket) ([]*Socket, error) {
	var found []*Socket
	for _, s := range o.Current {
		if strings.HasPrefix(s.Key, activatedPrefix) {
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
		s := &Socket{Key: activatedPrefix + strconv.Itoa(i), Protocol: o.Config.DefaultProtocol(), FD: fd}
		if err := s.describe(o.Dir); err != nil {
			return found, err
		}
		taken := false
		for _, other := range opened {
			taken = taken || other.Key == givenPrefix+strconv.Itoa(number)
		}
		if !taken {
			found = append(found, s)
		}
	}
	return found, nil
}
