package resources

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/internal/socketpair"
)

// Kept are sockets and the like that the configuration asks for by name. Each is made when it is first asked for, and
// kept over reloads and upgrades with what is waiting in it.
type Kept struct {
	files     map[string]*os.File
	inherited func(key string) int
}

// keptPrefix begins the names under which an upgrade passes them.
const keptPrefix = "kept:"

// NewKept returns an empty set. inherited returns the descriptors that another master has passed on, or -1.
func NewKept(inherited func(key string) int) *Kept {
	return &Kept{files: map[string]*os.File{}, inherited: inherited}
}

// Pipe is a pair of sockets that keeps messages apart: what is sent to in comes out of out. room is the size of its
// buffers when it is made, in bytes; 0: the system's. Reading and writing never wait, unless the caller polls.
func (k *Kept) Pipe(name string, room int) (out, in *os.File, err error) {
	err = k.get([]string{name + "/out", name + "/in"}, func() ([]int, error) {
		fds, err := socketpair.Messages()
		for _, fd := range fds {
			if err == nil {
				err = unix.SetNonblock(fd, true)
			}
			if err == nil && room > 0 {
				err = socketpair.Widen(fd, room)
			}
		}
		return fds[:], err
	})
	return k.files[name+"/out"], k.files[name+"/in"], err
}

// Bell is an eventfd: what is written to it wakes whoever waits for it. It never makes anybody wait.
func (k *Kept) Bell(name string) (*os.File, error) {
	err := k.get([]string{name}, func() ([]int, error) {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		return []int{fd}, err
	})
	return k.files[name], err
}

// Memory is a file of memory that fresh makes; it is the caller's to map.
func (k *Kept) Memory(name string, fresh func() (*os.File, error)) (*os.File, error) {
	err := k.get([]string{name}, func() ([]int, error) {
		file, err := fresh()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		return []int{fd}, err
	})
	return k.files[name], err
}

// Descriptor is a copy of a descriptor that this process was started with. The master of an upgrade gets it under the same number.
func (k *Kept) Descriptor(fd int) (*os.File, error) {
	name := fmt.Sprintf("descriptor %d", fd)
	err := k.get([]string{name}, func() ([]int, error) {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			unix.CloseOnExec(fd)
		}
		return []int{own}, err
	})
	return k.files[name], err
}

// get has all of names in files: those that are there, that were passed on, or that it makes.
func (k *Kept) get(names []string, fresh func() ([]int, error)) error {
	if k.files[names[0]] != nil {
		return nil
	}
	var fds []int
	for _, name := range names {
		if fd := k.inherited(keptPrefix + name); fd >= 0 {
			fds = append(fds, fd)
		}
	}
	if len(fds) != len(names) { // half a pipe is of no use
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		var err error
		if fds, err = fresh(); err != nil {
			return fmt.Errorf("%s: %w", names[0], err)
		}
	}
	for i, name := range names {
		k.files[name] = unwatched(fds[i], name)
	}
	return nil
}

// unwatched makes a file of a descriptor that Go's poller does not take: each message that others send would wake this process.
func unwatched(fd int, name string) *os.File {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	nonblocking := err == nil && flags&unix.O_NONBLOCK != 0
	if nonblocking {
		_ = unix.SetNonblock(fd, false) // else NewFile hands it to the poller
		defer func() { _ = unix.SetNonblock(fd, true) }()
	}
	return os.NewFile(uintptr(fd), name)
}

// Passed is what an upgrade hands over, by key. The descriptors stay k's.
func (k *Kept) Passed() map[string]int {
	passed := map[string]int{}
	for name, file := range k.files {
		passed[keptPrefix+name] = int(file.Fd())
	}
	return passed
}

// Close closes all of them.
func (k *Kept) Close() error {
	var errs []error
	for _, file := range k.files {
		errs = append(errs, file.Close())
	}
	k.files = map[string]*os.File{}
	return errors.Join(errs...)
}
