package sockets

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/scmrights"
	"envoxyd/internal/socketpair"
)

// fileKey comes before the key of a unix socket in a second message, which says which file is the
// socket's: another may be at its path by now. Masters of before that close what they do not know.
const fileKey = "\x00file %d %d "

// Handover is a pair of connected sockets by which a master passes descriptors on to the next one:
// as messages, which wait in the kernel for whoever receives from the far end.
type Handover struct {
	near int
	far  *os.File
}

// NewHandover makes the pair.
func NewHandover() (*Handover, error) {
	fds, err := socketpair.Messages()
	if err != nil {
		return nil, err
	}
	return &Handover{near: fds[0], far: os.NewFile(uintptr(fds[1]), "sockets")}, nil
}

// Far is the end that the next master gets.
func (h *Handover) Far() *os.File { return h.far }

// Send passes sockets on, and more descriptors by their keys.
func (h *Handover) Send(list []*Socket, more map[string]int) error {
	passed := map[string]int{}
	for _, s := range list {
		passed[s.Key] = s.FD
		if s.Path != "" {
			passed[fmt.Sprintf(fileKey, s.file.device, s.file.inode)+s.Key] = s.FD
		}
	}
	maps.Copy(passed, more)
	for key, fd := range passed {
		if err := unix.Sendmsg(h.near, []byte(key), unix.UnixRights(fd), nil, unix.MSG_DONTWAIT); err != nil {
			h.TakeBack()
			return fmt.Errorf("passing %s on: %w", key, err)
		}
	}
	return nil
}

// TakeBack closes what nobody has received: as long as it waits, the sockets stay open.
func (h *Handover) TakeBack() {
	var left Inheritance
	_ = left.Receive(h.far) // what came is closed all the same
	for _, fd := range left.fds {
		_ = unix.Close(fd)
	}
}

// Close closes both ends.
func (h *Handover) Close() {
	_ = unix.Close(h.near)
	_ = h.far.Close()
}

// Inheritance holds the descriptors that the previous master has passed on and nobody has taken
// yet. A nil one is empty.
type Inheritance struct {
	fds   map[string]int
	files map[string]fileID // of unix sockets, by key
}

// Receive takes what has been sent to the far end of a Handover.
func (i *Inheritance) Receive(far *os.File) error {
	i.fds, i.files = map[string]int{}, map[string]fileID{}
	raw, err := far.SyscallConn() // File.Fd would make the socket a blocking one
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = i.receive(int(fd)) })
	return errors.Join(err, failed)
}

func (i *Inheritance) receive(from int) error {
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

// Given tells whether a socket is there that came to the previous master from systemd or as standard input.
func (i *Inheritance) Given() bool {
	if i == nil {
		return false
	}
	for key := range i.fds {
		if (&Socket{Key: key}).Given() {
			return true
		}
	}
	return false
}

// keys are those that begin with prefix, in their order.
func (i *Inheritance) keys(prefix string) (keys []string) {
	if i == nil {
		return nil
	}
	for key := range i.fds {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { // systemd:2 comes before systemd:10
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return keys
}

// keyOf is the key of the unix socket at path; "": it is not among them.
func (i *Inheritance) keyOf(path string) string {
	if i == nil || path == "" {
		return ""
	}
	for key, fd := range i.fds {
		if (&Socket{Key: key}).foreign() {
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
		if address, err := unix.Getsockname(fd); err == nil && s.file != (fileID{}) && !s.foreign() {
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
