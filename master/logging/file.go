package logging

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// file is a log file, or descriptor 2 when it is none.
type file struct {
	FileOptions
	handle *os.File
	size   int64
	say    func(format string, args ...any)
}

// FileOptions say what is special about a log file.
type FileOptions struct {
	Dir      string // that names relate to
	Path     string // "": it is no file, and never rotated
	Backup   string // what it is renamed to; "": its own name with the time behind
	MaxSize  int64  // it is rotated when it is larger; 0: never
	Mode     int    // -1: 0640 less the umask
	UID, GID int    // whom it is given to; -1: nobody
	Standard bool   // descriptors 1 and 2 of this process are this file
}

// Open opens the file for appending.
func (o FileOptions) Open(flags int) (*os.File, error) {
	handle, err := os.OpenFile(o.at(o.Path), os.O_CREATE|os.O_APPEND|os.O_WRONLY|flags, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	if o.Mode >= 0 {
		err = handle.Chmod(os.FileMode(o.Mode))
	}
	if err == nil && (o.UID >= 0 || o.GID >= 0) {
		err = handle.Chown(o.UID, o.GID)
	}
	if err == nil && o.Standard {
		for _, fd := range []int{1, 2} {
			err = errors.Join(err, unix.Dup3(int(handle.Fd()), fd, 0))
		}
	}
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("log file %s: %w", o.Path, err)
	}
	return handle, nil
}

func (o FileOptions) at(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(o.Dir, name)
}

func newFile(o FileOptions, say func(format string, args ...any)) (*file, error) {
	f := &file{FileOptions: o, say: say}
	handle, err := o.Open(0)
	if err != nil {
		return nil, err
	}
	f.use(handle)
	return f, nil
}

// use goes on with another file.
func (f *file) use(handle *os.File) {
	if f.handle != nil {
		f.handle.Close()
	}
	f.handle, f.size = handle, 0
	if info, err := handle.Stat(); err == nil && info.Mode().IsRegular() {
		f.size = info.Size()
	}
}

func (f *file) write(b *batch) (lost int, err error) {
	n, err := f.handle.Write(b.data)
	f.size += int64(n)
	if err == nil {
		return 0, nil
	}
	for _, end := range b.ends {
		if end > n {
			lost++
		}
	}
	return lost, err
}

func (f *file) close() error { return f.handle.Close() }

// reopen goes on in a new file if somebody has moved the old one away.
func (f *file) reopen(now time.Time) {
	if f.Path == "" {
		return
	}
	f.note("[%d] logsize: %d, triggering log-reopen...", now.Unix(), f.size)
	handle, err := f.Open(0)
	if err != nil {
		f.say("%v", err)
		return
	}
	f.use(handle)
	f.note("[%d] %s reopened.", now.Unix(), f.Path)
}

// rotate moves the file away and goes on in an empty one. A backup whose name is only
// the time is never written over: the next second has another name.
func (f *file) rotate(now time.Time) {
	if f.Path == "" {
		return
	}
	if !f.there() { // somebody else has rotated it
		f.reopen(now)
		return
	}
	backup := f.Backup
	if backup == "" {
		backup = f.Path + "." + strconv.FormatInt(now.Unix(), 10)
		if _, err := os.Lstat(f.at(backup)); err == nil {
			return
		}
	}
	tell := f.say
	if f.Standard {
		tell = f.note
	}
	tell("%s - logsize: %d, triggering rotation to %s...", now.Format(time.ANSIC), f.size, backup)
	if err := os.Rename(f.at(f.Path), f.at(backup)); err != nil {
		f.say("log file %s: unable to rotate: %v", f.Path, err)
		return
	}
	handle, err := f.Open(os.O_TRUNC)
	if err != nil {
		f.say("%v", err)
		return
	}
	f.use(handle)
}

// there: the file at the path is the one that is written to.
func (f *file) there() bool {
	at, err := os.Stat(f.at(f.Path))
	if err != nil {
		return false
	}
	ours, err := f.handle.Stat()
	return err == nil && os.SameFile(at, ours)
}

// oversize rotates a file that has become too large.
func (f *file) oversize(now time.Time) {
	if f.MaxSize > 0 && f.size > f.MaxSize {
		f.rotate(now)
	}
}

// note writes a line of its own into the file.
func (f *file) note(format string, args ...any) {
	n, _ := fmt.Fprintf(f.handle, format+"\n", args...) // what follows tells whether the file can be written
	f.size += int64(n)
}
