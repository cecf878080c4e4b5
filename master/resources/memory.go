package resources

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		lock(file, byteMapped)
		claimed, err := os.OpenFile(m.Store, os.O_RDWR, 0)
		if err != nil { // it has been removed since the previous master opened it
			logf("store: %v", err)
		} else {
			lock(claimed, byteClaimed) // or later: the previous master may still have it
			r.claims[m.Key] = claimed
		}
	}
	r.memory[m.Key] = file
	return file, nil
}

// Two bytes of a store are locked (fcntl(2), open file description locks). One claims it, by a description that
// this process alone has. The other is locked by the description that processes map: it is free when the last has gone.
const (
	byteClaimed = iota
	byteMapped
)

// lock locks a byte, if nobody else has.
func lock(file *os.File, at int64) {
	_ = unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1})
}

// locked tells whether another description has locked a byte.
func locked(fd int, at int64) bool {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}

// Claim takes the claims on stores over that the previous master still had, if it has gone.
func (r *Resources) Claim() {
	for _, file := range r.claims {
		lock(file, byteClaimed)
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
		if err == nil && fits && !locked(fd, byteMapped) {
			return fd, nil
		}
		switch {
		case err != nil:
		case fits:
			logf("%s is still written by processes of an instance that has ended: a copy takes its place", m.Store)
			err = putCopy(fd, m.Store)
		default:
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
	if locked(fd, byteClaimed) {
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

// putCopy puts a copy of a store in its place. What is no data of it stays a hole.
func putCopy(fd int, name string) error {
	to, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer to.Close()
	err = copyData(to, fd)
	if err == nil {
		err = os.Rename(to.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy of %s: %w", name, err), os.Remove(to.Name()))
	}
	return nil
}

func copyData(to *os.File, from int) error {
	var is unix.Stat_t
	if err := unix.Fstat(from, &is); err != nil {
		return err
	}
	if err := to.Truncate(is.Size); err != nil {
		return err
	}
	for at := int64(0); at < is.Size; {
		begin, err := unix.Seek(from, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // only a hole is left
			return nil
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(from, begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		data := io.NewSectionReader(descriptor(from), begin, end-begin)
		if _, err := io.Copy(io.NewOffsetWriter(to, begin), data); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// descriptor reads from a descriptor that somebody else owns.
type descriptor int

func (fd descriptor) ReadAt(to []byte, at int64) (n int, err error) {
	for n < len(to) {
		got, err := unix.Pread(int(fd), to[n:], at+int64(n))
		if err != nil {
			return n, err
		}
		if got == 0 {
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}
