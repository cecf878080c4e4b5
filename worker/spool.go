package worker

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// spool is where bodies go that are too large for memory.
type spool struct {
	dir  string
	open []func(dir string) (*os.File, error) // one after the other is tried
	warn func(error)                          // about a file that is in memory after all
}

func (w *Worker) newSpool() spool {
	return spool{
		dir:  os.TempDir(),
		open: []func(string) (*os.File, error){openUnnamed, openUnlinked, openMemory},
		warn: func(err error) {
			w.logLimited(&w.limits.spool, "large request bodies are kept in memory (set TMPDIR to a directory on a disk): %v", err)
		},
	}
}

// file makes a file that has no name. Where the directory does not serve, the memory does; but not in place of a disk that is full.
func (s *spool) file() (*os.File, error) {
	var problem error
	for i, open := range s.open {
		file, err := open(s.dir)
		if err == nil {
			if i == len(s.open)-1 {
				s.warn(problem)
			}
			return file, nil
		}
		if full(err) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			return nil, err
		}
		problem = err
	}
	return nil, problem
}

func openUnnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "file in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// openUnlinked is for filesystems that make no file without a name: NFS, FUSE, overlayfs before Linux 6.1.
func openUnlinked(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "envoxyd-body-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func openMemory(string) (*os.File, error) {
	fd, err := unix.MemfdCreate("request body", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "memory"), nil
}

// full tells whether there is no room left for a file.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
