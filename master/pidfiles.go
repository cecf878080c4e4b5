package master

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// pidfiles are the files, by path, that hold this process's number. They stay open: a master
// that has changed to another user can put the number of the next one into them, though it may
// not make files in their directory.
type pidfiles map[string]*os.File

// pidfileKey comes before the path of a pidfile that is passed on to the next master.
const pidfileKey = "pidfile:"

// write writes this process's number, to be found by --stop and --reload. inherited takes what the
// master before has passed on.
func (p *pidfiles) write(name, base string, inherited func(key string) int) error {
	if name == "" {
		return nil
	}
	path := paths.In(base, name)
	if *p == nil {
		*p = pidfiles{}
	}
	if fd := inherited(pidfileKey + path); fd >= 0 {
		(*p)[path] = os.NewFile(uintptr(fd), path)
	}
	file, err := replacePidfile(path)
	if errors.Is(err, fs.ErrPermission) {
		file, err = rewritePidfile(path, (*p)[path], err)
	}
	if err != nil {
		return fmt.Errorf("pidfile: %w", err)
	}
	if known := (*p)[path]; known != nil && known != file {
		known.Close()
	}
	(*p)[path] = file
	return nil
}

// replacePidfile puts another file at path: a reader never sees half a number.
func replacePidfile(path string) (*os.File, error) {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err = file.WriteString(pidText() + "\n"); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		file.Close()
		os.Remove(temporary)
		return nil, err
	}
	return file, nil
}

// rewritePidfile writes into the file itself, where no other may be put in its place (refused):
// by open, if that is the file at path, or because the file is this user's.
func rewritePidfile(path string, open *os.File, refused error) (*os.File, error) {
	file := open
	if open == nil || !isFile(path, statOf(open)) {
		var err error
		if file, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			return nil, fmt.Errorf("%w; the file itself cannot be written either", refused)
		}
	}
	text := pidText() + "\n"
	_, err := file.WriteAt([]byte(text), 0)
	if err == nil {
		err = file.Truncate(int64(len(text)))
	}
	if err != nil && file != open {
		file.Close()
	}
	return file, err
}

// statOf is what os.File.Stat returns; nil after an error.
func statOf(file *os.File) os.FileInfo {
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	return info
}

// writeSafePidfiles writes those that only a start with a loaded application gets to.
func (m *master) writeSafePidfiles(cfg *uwsgiopts.Config) error {
	if m.current != nil || m.upgrader.second { // after an upgrade all pidfiles are written at once
		return nil
	}
	p, inherited := &m.owned.pidfiles, m.upgrader.inherited.Take
	return errors.Join(p.write(cfg.SafePidfile, workDir(cfg), inherited), p.write(cfg.SafePidfile2, workDir(cfg), inherited))
}

// writeAll writes those that a start does not fail for.
func (p *pidfiles) writeAll(base string, inherited func(key string) int, names ...string) {
	for _, name := range names {
		if err := p.write(name, base, inherited); err != nil {
			logf("%v", err)
		}
	}
}

// rewrite puts right what somebody has done to the pidfiles.
func (p *pidfiles) rewrite() {
	nothing := func(string) int { return -1 }
	p.writeAll("", nothing, slices.Sorted(maps.Keys(*p))...)
}

// descriptors are those of the open files, by the keys under which the next master finds them.
func (p pidfiles) descriptors() map[string]int {
	found := map[string]int{}
	for path, file := range p {
		if file != nil {
			found[pidfileKey+path] = int(file.Fd())
		}
	}
	return found
}

// remove removes those that hold our number still.
func (p pidfiles) remove() {
	own := pidText() + "\n"
	for _, path := range slices.Sorted(maps.Keys(p)) {
		if text, err := os.ReadFile(path); err == nil && string(text) == own && os.Remove(path) == nil {
			logf("VACUUM: pidfile %s removed.", path)
		}
	}
}
