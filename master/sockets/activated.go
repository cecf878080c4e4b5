package sockets

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// findActivated finds the sockets that systemd has passed. They are kept over reloads, whatever
// the configuration says: nothing else would know of them.
func (o *Opener) findActivated() error {
	o.activated = nil
	for _, s := range o.Current {
		if strings.HasPrefix(s.Key, activatedPrefix) {
			kept := *s
			kept.inherited = true
			o.activated = append(o.activated, &kept)
		}
	}
	for _, key := range o.Inheritance.keys(activatedPrefix) {
		s := &Socket{Key: key, FD: o.Inheritance.Take(key), inherited: true}
		o.activated = append(o.activated, s)
		if err := s.describe(o.Dir); err != nil {
			return err
		}
	}
	if len(o.activated) > 0 {
		return nil
	}
	for i, file := range activation.Files(true) {
		number := int(file.Fd())
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		file.Close()
		if err != nil {
			return fmt.Errorf("socket from systemd: %w", err)
		}
		s := &Socket{Key: activatedPrefix + strconv.Itoa(i), FD: fd, given: givenPrefix + strconv.Itoa(number)}
		o.activated = append(o.activated, s)
		if err := s.describe(o.Dir); err != nil {
			return err
		}
	}
	return nil
}

// takeActivated takes the socket that systemd has passed for an address: by its number, its path
// or its port; nil: there is none.
func (o *Opener) takeActivated(address string) *Socket {
	path := o.path(address)
	for i, s := range o.activated {
		if s.given != address && (path == "" || s.Path != path) && !sameAddress(s.Name, address) {
			continue
		}
		o.activated = append(o.activated[:i:i], o.activated[i+1:]...)
		if s.given == address {
			s.Key = address
		}
		return s
	}
	return nil
}
