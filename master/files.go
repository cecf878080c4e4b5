package master

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// workDir is where --chdir leads: what the application and relative socket paths relate to.
func workDir(cfg *uwsgiopts.Config) string {
	dir := cfg.StartDir
	for _, change := range []string{cfg.Chdir, cfg.Chdir2} {
		if change != "" {
			dir = absolute(dir, change)
		}
	}
	return dir
}

func checkDirectories(cfg *uwsgiopts.Config) error {
	info, err := os.Stat(workDir(cfg))
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
	}
	if err != nil {
		return fmt.Errorf("chdir(): %w", err)
	}
	return nil
}

// writePidfile writes this process's number, to be found by --stop and --reload.
func (m *master) writePidfile(name, base string) error {
	if name == "" {
		return nil
	}
	path := absolute(base, name)
	temporary := path + ".new" // a reader never sees half a number
	if err := os.WriteFile(temporary, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("pidfile: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("pidfile: %w", err)
	}
	m.pidfiles = append(m.pidfiles, path)
	return nil
}

// rewritePidfiles puts right what somebody has done to the pidfiles.
func (m *master) rewritePidfiles() {
	paths := m.pidfiles
	m.pidfiles = nil
	for _, path := range paths {
		if err := m.writePidfile(path, ""); err != nil {
			logf("%v", err)
			m.pidfiles = append(m.pidfiles, path)
		}
	}
}

// writePidfiles writes those that a start does not fail for.
func (m *master) writePidfiles(base string, names ...string) {
	for _, name := range names {
		if err := m.writePidfile(name, base); err != nil {
			logf("%v", err)
		}
	}
}

// vacuum removes what --vacuum names, as far as this master made it and still owns it: unix
// sockets, pipes, pidfiles.
func (m *master) vacuum() {
	vacuumSockets(m.sockets)
	m.fifo.remove()
	own := strconv.Itoa(os.Getpid()) + "\n"
	for _, path := range m.pidfiles {
		if text, err := os.ReadFile(path); err == nil && string(text) == own && os.Remove(path) == nil {
			logf("VACUUM: pidfile %s removed.", path)
		}
	}
}

// isFile tells whether the file at path is the one that made describes; nil: none.
func isFile(path string, made os.FileInfo) bool {
	at, err := os.Lstat(path)
	return err == nil && made != nil && os.SameFile(at, made)
}
