package logging

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
)

// file is a log file, or descriptor 2 when it is none.
type file struct {
	FileOptions
	handle *os.File // nil: it could not be opened yet
	size   int64
	say    func(format string, args ...any)
	own    func(line []byte) []byte // puts a line of our own into form; nil: it stays
	open   func(o FileOptions, flags int) (*os.File, error)

	direct  bool   // descriptor 2 itself is written to, not a copy of it
	pending bool   // the file at the path is still to be opened: that has failed
	shared  bool   // a pipe or terminal, into which others may write between two pieces of one write
	torn    bool   // what was written last is the beginning of a line
	told    string // which failure was said last; "": none since all was well
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

// OpenFile opens a log file for appending. It does not wait for a reader of a named pipe.
func OpenFile(path string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0o640)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil:
			err = unix.SetNonblock(fd, false) // whoever inherits it expects no EAGAIN
		}
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// Open opens the file for appending.
func (o FileOptions) Open(flags int) (*os.File, error) {
	handle, err := OpenFile(o.at(o.Path), flags)
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

// Unwritable tells whether an error may pass by itself, as a full disk does, or a named pipe without
// a reader: it costs lines, and never a start or a reload. All else about a log file is an error of the configuration.
func Unwritable(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO)
}

func (o FileOptions) at(name string) string { return paths.In(o.Dir, name) }

func newFile(o FileOptions, say func(format string, args ...any), own func(line []byte) []byte) (*file, error) {
	f := &file{FileOptions: o, say: say, own: own, open: FileOptions.Open}
	return f, f.begin(0)
}

// begin opens the file for the first time, or later if its disk is full.
func (f *file) begin(flags int) error {
	handle, err := f.open(f.FileOptions, flags)
	switch {
	case err == nil:
		f.use(handle)
	case Unwritable(err):
		f.later(err)
	default:
		return err
	}
	return nil
}

// use goes on with another file.
func (f *file) use(handle *os.File) {
	f.pending, f.torn, f.told = false, false, ""
	switch {
	case f.direct:
		handle.Close()
		handle = os.Stderr
	case f.handle != nil:
		f.handle.Close()
	}
	f.handle, f.size, f.shared = handle, 0, true
	if info, err := handle.Stat(); err == nil && info.Mode().IsRegular() {
		f.size, f.shared = info.Size(), false
	}
}

// later has retry open the file.
func (f *file) later(err error) {
	f.pending = true
	f.complain("open", fmt.Errorf("%w (tried again every second)", err))
}

// complain says what has failed, once until another thing fails or all is well.
func (f *file) complain(what string, err error) {
	var errno unix.Errno
	if errors.As(err, &errno) { // the rest of the text may have the time in it
		what += errno.Error()
	}
	if f.told != what {
		f.told = what
		f.say("%v", err)
	}
}

// retry opens what could not be opened.
func (f *file) retry() {
	if !f.pending {
		return
	}
	handle, err := f.open(f.FileOptions, 0)
	if err != nil {
		f.later(err)
		return
	}
	f.use(handle)
}

var errNotOpen = errors.New("the log file could not be opened")

// append writes to the file. A line whose beginning alone is there is ended first.
func (f *file) append(data []byte) (n int, err error) {
	if f.handle == nil {
		return 0, errNotOpen
	}
	if f.torn {
		if _, err := f.handle.Write(newline); err != nil {
			return 0, err
		}
		f.torn = false
		f.size++
	}
	n, err = f.handle.Write(data)
	f.size += int64(n)
	return n, err
}

// atOnce is how many bytes a pipe takes in one piece (PIPE_BUF).
const atOnce = 4096

// appendAll writes a batch. Where others write too, each write holds as many whole records as stay in one piece.
func (f *file) appendAll(b *batch) (written int, err error) {
	if !f.shared {
		return f.append(b.data)
	}
	for next := 0; next < len(b.ends); {
		end := b.ends[next]
		for next++; next < len(b.ends) && b.ends[next]-written <= atOnce; next++ {
			end = b.ends[next]
		}
		n, err := f.append(b.data[written:end])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (f *file) write(b *batch) (lost int, err error) {
	n, err := f.appendAll(b)
	if err == nil {
		return 0, nil
	}
	start := 0
	for _, end := range b.ends {
		if end > n {
			lost++
		}
		if start < n && n < end {
			f.torn = b.data[end-1] == '\n'
		}
		start = end
	}
	return lost, err
}

func (f *file) close() error {
	if f.handle == nil {
		return nil
	}
	return f.handle.Close()
}

// reopen goes on in a new file if somebody has moved the old one away.
func (f *file) reopen(now time.Time) {
	if f.Path == "" {
		return
	}
	f.note("[%d] logsize: %d, triggering log-reopen...", now.Unix(), f.size)
	handle, err := f.open(f.FileOptions, 0)
	if err != nil {
		f.later(err)
		return
	}
	f.use(handle)
	f.note("[%d] %s reopened.", now.Unix(), f.Path)
}

// rotate moves the file away and goes on in an empty one. A backup whose name is only
// the time is never written over: the next second has another name.
func (f *file) rotate(now time.Time) {
	if f.Path == "" || f.pending {
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
	if err := os.Rename(f.at(f.Path), f.at(backup)); err != nil {
		f.complain("rotate", fmt.Errorf("log file %s: unable to rotate: %w", f.Path, err))
		return
	}
	tell := f.say
	if f.Standard {
		tell = f.note
	}
	tell("%s - logsize: %d, triggering rotation to %s...", now.Format(time.ANSIC), f.size, backup)
	handle, err := f.open(f.FileOptions, os.O_TRUNC)
	if err != nil { // meanwhile lines go to the backup
		f.later(err)
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

// tend does what is due once a second: to open what could not be opened, and to rotate
// a file that has become too large.
func (f *file) tend(now time.Time) {
	f.retry()
	if f.MaxSize > 0 && f.size > f.MaxSize {
		f.rotate(now)
	}
}

// note writes a line of its own into the file.
func (f *file) note(format string, args ...any) {
	line := fmt.Appendf(nil, format+"\n", args...)
	if f.own != nil {
		line = f.own(line)
	}
	_, _ = f.append(line) // what follows tells whether the file can be written
}
