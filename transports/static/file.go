package static

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// OutsideError is a file that a path leads to, by a link or by "..", out of the directory it was looked for in.
type OutsideError struct{ Path, Root string }

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is not under %s or a safe path", e.Path, e.Root)
}

// file is a regular file that was found and may be sent. What its descriptor
// stands for cannot be exchanged any more.
type file struct {
	fd       int    // -1: taken
	readable bool   // fd can be read from; otherwise it has to be opened again
	real     string // absolute, without links
	original string // real, of the file that a compressed one stands for
	encoding string
	size     int64
	mtime    time.Time
}

func (f *file) close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
}

// open is a descriptor, the caller's from now on, to read the very same file from.
func (f *file) open() (int, error) {
	if f.readable {
		fd := f.fd
		f.fd = -1
		return fd, nil
	}
	return openFile(throughProc(f.fd), unix.O_RDONLY|unix.O_NOCTTY)
}

func openFile(name string, flags int) (int, error) {
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func throughProc(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// realPath is the absolute name, without links, of what fd stands for.
func realPath(fd int) (string, error) {
	var name [unix.PathMax]byte
	n, err := unix.Readlink(throughProc(fd), name[:])
	return string(name[:max(n, 0)]), err
}

// find returns the first file that there is for the path, nil if there is none.
func (s *Server) find(r *Request) (f *file, err error) {
	path := string(r.Path)
	try := func(root, name string) bool {
		var failure error
		if f, failure = s.lookup(root, name, s.options.Index); failure != nil {
			err = failure
		}
		return f != nil
	}
	for _, dir := range s.options.Check {
		if try(dir, dir+"/"+path) {
			return s.negotiate(r, dir, f), nil
		}
	}
	for i := range s.options.Maps {
		m := &s.options.Maps[i]
		rest, below := cut(m, r.Path)
		if !below {
			continue
		}
		name := m.Dir
		if len(rest) > 0 {
			name += "/" + string(rest)
		}
		if try(m.Dir, name) {
			return s.negotiate(r, m.Dir, f), nil
		}
	}
	for i := range s.options.WholeMaps {
		m := &s.options.WholeMaps[i]
		if _, below := cut(m, r.Path); below && try(m.Dir, m.Dir+"/"+path) {
			return s.negotiate(r, m.Dir, f), nil
		}
	}
	if root := string(r.DocumentRoot); s.options.DocumentRoot && strings.HasPrefix(root, "/") && !strings.Contains(root, "\x00") {
		if try(root, root+"/"+path) {
			return s.negotiate(r, root, f), nil
		}
	}
	return nil, err
}

// lookup finds the regular file name, or the first of index if name is a
// directory. root may be a file itself: it stands for everything below it.
func (s *Server) lookup(root, name string, index []string) (*file, error) {
	if f, known := s.lookupPlain(root, name); known {
		return f, nil
	}
	fd, err := openFile(name, unix.O_PATH)
	if errors.Is(err, unix.ENOTDIR) && name != root {
		return s.lookup(root, root, nil)
	}
	if err != nil {
		return nil, nil
	}
	f, failure := s.examine(fd, root)
	if f != nil {
		return f, nil
	}
	_ = unix.Close(fd)
	if !errors.Is(failure, errDirectory) {
		return nil, failure
	}
	for _, entry := range index {
		if f, failure := s.lookup(root, name+"/"+entry, nil); f != nil || failure != nil {
			return f, failure
		}
	}
	return nil, nil
}

// plainly is how a file is opened whose name leads through no link: it is where its name says.
var plainly = unix.OpenHow{
	Flags:   unix.O_RDONLY | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC,
	Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
}

// lookupPlain finds the file with one system call if it is there by its own name. known is false
// when only a closer look can tell.
func (s *Server) lookupPlain(root, name string) (f *file, known bool) {
	real := path.Clean(name)
	if s.options.Handoff != "" || !path.IsAbs(name) || !below(path.Clean(root), real) || strings.Contains(name, "/..") {
		return nil, false
	}
	how := plainly
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &how)
	if err != nil {
		return nil, errors.Is(err, unix.ENOENT)
	}
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd)
		return nil, false
	}
	return &file{fd: fd, readable: true, real: real, original: real, size: info.Size, mtime: time.Unix(info.Mtim.Unix())}, true
}

// below tells whether the name is dir, or in it. Both are clean.
func below(dir, name string) bool {
	return name == dir || dir == "/" || len(name) > len(dir) && name[len(dir)] == '/' && name[:len(dir)] == dir
}

var errDirectory = errors.New("a directory")

// examine tells what fd stands for. It does not close fd.
func (s *Server) examine(fd int, root string) (*file, error) {
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return nil, nil
	}
	switch info.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return nil, errDirectory
	case unix.S_IFREG:
	default:
		return nil, nil
	}
	real, err := realPath(fd)
	if err != nil {
		return nil, nil
	}
	if !s.allowed(root, real) {
		return nil, &OutsideError{real, root}
	}
	if s.options.Handoff != "" && strings.ContainsAny(real, "\r\n") { // cannot be said in a header
		return nil, nil
	}
	return &file{fd: fd, real: real, original: real, size: info.Size, mtime: time.Unix(info.Mtim.Unix())}, nil
}

func (s *Server) allowed(root, real string) bool {
	if within(root, real) {
		return true
	}
	for _, dir := range s.options.Safe {
		if within(dir, real) {
			return true
		}
	}
	return false
}

// within tells whether the file real is dir itself or below it, links in dir's name followed.
func within(dir, real string) bool {
	fd, err := openFile(dir, unix.O_PATH)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	dir, err = realPath(fd)
	return err == nil && (real == dir || strings.HasPrefix(real, strings.TrimSuffix(dir, "/")+"/"))
}
