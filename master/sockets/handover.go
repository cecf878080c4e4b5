package sockets

import (
	"errors"
	"fmt"
	"maps"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/internal/scmrights"
)

// Send puts sockets, and more descriptors by their keys, into a socket pair and returns the end
// to be passed on. The messages wait in the kernel for whoever receives from it.
func Send(list []*Socket, more map[string]int) (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(fds[0])
	file := os.NewFile(uintptr(fds[1]), "sockets")
	passed := map[string]int{}
	for _, s := range list {
		passed[s.Key] = s.FD
	}
	maps.Copy(passed, more)
	for key, fd := range passed {
		if err := unix.Sendmsg(fds[0], []byte(key), unix.UnixRights(fd), nil, unix.MSG_DONTWAIT); err != nil {
			file.Close()
			return nil, fmt.Errorf("passing %s on: %w", key, err)
		}
	}
	return file, nil
}

// Inheritance holds the descriptors that the previous master has passed on and nobody has taken yet.
type Inheritance struct{ fds map[string]int }

// Receive takes what Send has put into the other end.
func (i *Inheritance) Receive(from int) error {
	if i.fds == nil {
		i.fds = map[string]int{}
	}
	for {
		key, rights := make([]byte, 4096), make([]byte, scmrights.Room)
		n, size, _, _, err := unix.Recvmsg(from, key, rights, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if n == 0 || errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("taking sockets over: %w", err)
		}
		fd, err := scmrights.Descriptor(rights[:size])
		if err != nil {
			return fmt.Errorf("taking socket %s over: %w", key[:n], err)
		}
		i.fds[string(key[:n])] = fd
	}
}

// Take hands the descriptor of that key out, once; -1: there is none.
func (i *Inheritance) Take(key string) (fd int) {
	fd, there := i.fds[key]
	if !there {
		return -1
	}
	delete(i.fds, key)
	return fd
}

// Close closes what nobody has taken: the new configuration does not name it.
func (i *Inheritance) Close() {
	for key, fd := range i.fds {
		_ = unix.Close(fd)
		delete(i.fds, key)
	}
}
