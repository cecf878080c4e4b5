package resources

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Memory is what a file in memory, or a store on disk, is needed for.
type Memory struct {
	// Key names it and its geometry: memory with another key has another content.
	Key string
	// Store is the absolute path of the file that keeps the content; "": it ends with the instance.
	Store string
	// Fits tells whether a store with content is this memory's; nil: any is.
	Fits func(fd int) bool
	// Replace removes a store that does not fit, instead of renaming it.
	Replace bool
}

// storeMode is the mode of new stores, as uWSGI's.
const storeMode = 0o600

// Get returns the file of a memory, which is made or taken over at the first time. It stays r's.
func (r *Resources) Get(m Memory, logf func(format string, args ...any)) (*os.File, error) {
	if file := r.memory[m.Key]; file != nil {
		return file, nil
	}
	fd, err := r.inherited(keyPrefix+m.Key), error(nil)
	switch {
	case fd >= 0:
	case m.Store == "":
		name, _, _ := strings.Cut(m.Key, "\n")
		if fd, err = unix.MemfdCreate("envoxyd-"+name, unix.MFD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("memfd_create: %w", err)
		}
	default:
		if fd, err = openStore(m, logf); err != nil {
			return nil, err
		}
	}
	file := os.NewFile(uintptr(fd), m.Key)
	if m.Store != "" {
		claimed, err := os.OpenFile(m.Store, os.O_RDWR, 0)
		if err != nil { // it has been removed since the previous master opened it
			logf("store: %v", err)
		} else {
			claim(claimed) // or later: the previous master may still have it
			r.claims[m.Key] = claimed
		}
	}
	r.memory[m.Key] = file
	return file, nil
}

// claim keeps other instances from using a store. The description is this process's alone: forks that map the store do
// not hold it. False: somebody has it.
func claim(file *os.File) bool {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	return !errors.Is(unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock), unix.EAGAIN)
}

// Claim takes the claims on stores over that the previous master still had, if it has gone.
func (r *Resources) Claim() {
	for _, file := range r.claims {
		claim(file)
	}
}

// Keep closes what has none of the keys. Processes that have mapped it keep it.
func (r *Resources) Keep(keys map[string]bool) error {
	var errs []error
	for key, file := range r.memory {
		if !keys[key] {
			errs = append(errs, file.Close())
			delete(r.memory, key)
			if held := r.claims[key]; held != nil {
				errs = append(errs, held.Close())
				delete(r.claims, key)
			}
		}
	}
	return errors.Join(errs...)
}

// openStore opens a store, and moves one out of the way that is something else.
func openStore(m Memory, logf func(format string, args ...any)) (int, error) {
	for {
		fd, err := unix.Open(m.Store, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY, storeMode)
		if err != nil {
			return -1, fmt.Errorf("open %s: %w", m.Store, err)
		}
		fits, err := fitsStore(fd, m)
		if err == nil && fits {
			return fd, nil
		}
		if err == nil {
			err = moveAway(m, logf)
		}
		_ = unix.Close(fd)
		if err != nil {
			return -1, err
		}
	}
}

// fitsStore tells whether the file is new, or has this memory's content. One that another instance uses is an error.
func fitsStore(fd int, m Memory) (bool, error) {
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return false, fmt.Errorf("%s: %w", m.Store, err)
	}
	if is.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, fmt.Errorf("%s is not a regular file", m.Store)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock); err == nil && lock.Type != unix.F_UNLCK {
		return false, fmt.Errorf("%s is in use by another instance", m.Store)
	}
	return is.Size == 0 || m.Fits == nil || m.Fits(fd), nil
}

// moveAway renames a store to a name that is free, or removes it.
func moveAway(m Memory, logf func(format string, args ...any)) error {
	if m.Replace {
		if err := os.Remove(m.Store); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		logf("%s is not of this geometry and has been removed", m.Store)
		return nil
	}
	for number := range 1000 {
		name := m.Store + ".old"
		if number > 0 {
			name += fmt.Sprint(number)
		}
		err := unix.Renameat2(unix.AT_FDCWD, m.Store, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) { // not on this file system
			if _, err = os.Lstat(name); err == nil {
				continue
			}
			err = os.Rename(m.Store, name)
		}
		switch {
		case errors.Is(err, unix.EEXIST):
		case err != nil:
			return fmt.Errorf("rename %s: %w", m.Store, err)
		default:
			logf("%s is not of this geometry or not of envoxyd: it is %s now", m.Store, name)
			return nil
		}
	}
	return fmt.Errorf("%s: there is no free name for what it holds", m.Store)
}
