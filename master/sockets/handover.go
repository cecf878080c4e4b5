package sockets

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/scmrights"
)

// fileKey comes before the key of a unix socket in a second message, which says which file is the
// socket's: another may be at its path by now. Masters of before that close what they do not know.
const fileKey = "\x00file %d %d "

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
		if s.Path != "" {
			passed[fmt.Sprintf(fileKey, s.file.device, s.file.inode)+s.Key] = s.FD
		}
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

// Inheritance holds the descriptors that the previous master has passed on and nobody has taken
// yet. A nil one is empty.
type Inheritance struct {
	fds   map[string]int
	files map[string]fileID // of unix sockets, by key
}

// Receive takes what Send has put into the other end.
func (i *Inheritance) Receive(from int) error {
	i.fds, i.files = map[string]int{}, map[string]fileID{}
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
		i.add(string(key[:n]), fd)
	}
}

func (i *Inheritance) add(key string, fd int) {
	var file fileID
	if n, _ := fmt.Sscanf(key, fileKey, &file.device, &file.inode); n < 2 {
		i.fds[key] = fd
		return
	}
	_, key, _ = strings.Cut(key, " ") // after the word, the device, the inode
	_, key, _ = strings.Cut(key, " ")
	_, key, _ = strings.Cut(key, " ")
	i.files[key] = file
	_ = unix.Close(fd)
}

// file tells which file the previous master made for the socket of that key.
func (i *Inheritance) file(key string) (id fileID, known bool) {
	if i == nil {
		return fileID{}, false
	}
	id, known = i.files[key]
	return id, known
}

// Take hands the descriptor of that key out, once; -1: there is none.
func (i *Inheritance) Take(key string) (fd int) {
	if i == nil {
		return -1
	}
	fd, there := i.fds[key]
	if !there {
		return -1
	}
	delete(i.fds, key)
	return fd
}

// keyOf is the key of the unix socket at path; "": it is not among them.
func (i *Inheritance) keyOf(path string) string {
	if i == nil || path == "" {
		return ""
	}
	for key, fd := range i.fds {
		if (&Socket{Key: key}).Given() {
			continue
		}
		if address, err := unix.Getsockname(fd); err == nil {
			if local, is := address.(*unix.SockaddrUnix); is && local.Name == path {
				return key
			}
		}
	}
	return ""
}

// Close closes what nobody has taken, as the new configuration does not name it, and returns
// the unix sockets among that, whose files are this master's now.
func (i *Inheritance) Close() (dropped []*Socket) {
	for key, fd := range i.fds {
		s := &Socket{Key: key, FD: fd, file: i.files[key], owner: ours}
		if address, err := unix.Getsockname(fd); err == nil && s.file != (fileID{}) && !s.Given() {
			if local, is := address.(*unix.SockaddrUnix); is {
				s.Path = local.Name
				dropped = append(dropped, s)
			}
		}
		_ = unix.Close(fd)
	}
	i.fds = nil
	return dropped
}
