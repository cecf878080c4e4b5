package master

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/master/sockets"
)

// fifo is the named pipe of --master-fifo: each byte that somebody writes is a
// command. Of several pipes one is there at a time.
type fifo struct {
	names   []string // as they were written
	paths   []string
	slot    int
	file    *os.File               // open for writing too, so that it never ends
	failed  string                 // why it could not be made; empty: it was
	made    map[string]os.FileInfo // the pipes that are ours, by path
	done    chan struct{}
	reading sync.WaitGroup
	told    time.Time // when the log has said last that a byte is no command
}

// reconfigure makes the pipe that the configuration names, unless it is there already.
func (f *fifo) reconfigure(m *master) {
	var wanted []string
	for _, name := range m.cfg.MasterFifo {
		wanted = append(wanted, paths.In(workDir(m.cfg), name))
	}
	first := f.made == nil // nobody reads it, or only the previous master
	if first {
		f.made = map[string]os.FileInfo{}
	}
	if slices.Equal(wanted, f.paths) {
		return
	}
	f.close()
	if m.cfg.Vacuum {
		f.remove()
	}
	f.names, f.paths, f.slot, f.made = m.cfg.MasterFifo, wanted, 0, map[string]os.FileInfo{}
	if len(wanted) > 0 && !first && !m.cfg.UnixSocketTakeover {
		if err := sockets.PipeTaken(wanted[0]); err != nil {
			logf("master-fifo %s: %v", f.names[0], err)
			return
		}
	}
	f.open(m)
}

func (f *fifo) choose(m *master, slot int) {
	if slot >= len(f.paths) {
		slot = 0
	}
	f.close()
	f.slot = slot
	f.open(m)
	logDated("active master fifo is now %s", f.names[f.slot])
}

// restore makes the pipe again when somebody has removed it, or it could not be made. Another
// instance that reads one at its place was told to (fifo commands 0 to 9), and keeps it.
func (f *fifo) restore(m *master) {
	if f.file == nil && f.failed == "" || f.file != nil && f.there() || sockets.PipeTaken(f.paths[f.slot]) != nil {
		return
	}
	if f.file != nil {
		f.close()
	}
	f.open(m)
}

// there: the file at the path is the one that was made.
func (f *fifo) there() bool { return isFile(f.paths[f.slot], f.made[f.paths[f.slot]]) }

// open replaces whatever is at the path by a pipe and reads it until close.
func (f *fifo) open(m *master) {
	if len(f.paths) == 0 {
		return
	}
	path := f.paths[f.slot]
	file, err := makeFifo(path)
	if err == nil {
		f.made[path], err = file.Stat()
	}
	if err != nil {
		if f.failed != err.Error() {
			f.failed = err.Error()
			logf("master-fifo: %v (tried again every second)", err)
		}
		return
	}
	f.file, f.failed, f.done = file, "", make(chan struct{})
	done := f.done
	f.reading.Go(func() {
		var commands [64]byte
		for {
			n, err := file.Read(commands[:])
			if err != nil {
				return
			}
			for _, b := range commands[:n] {
				select {
				case m.events <- func(m *master) { m.command(b) }:
				case <-done:
					return
				}
			}
		}
	})
}

func makeFifo(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("mkfifo %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // whatever the umask
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
}

// close stops reading and waits until that is so; the file stays.
func (f *fifo) close() {
	f.failed = ""
	if f.file == nil {
		return
	}
	close(f.done)
	_ = f.file.Close()
	f.reading.Wait()
	f.file = nil
}

// remove is vacuum's part: all the pipes that were made, and not replaced by somebody else.
func (f *fifo) remove() {
	for _, path := range f.paths {
		if isFile(path, f.made[path]) && os.Remove(path) == nil {
			logf("VACUUM: master fifo %s removed.", path)
		}
	}
}
