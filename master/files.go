package master

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
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

// vacuum removes what --vacuum names: unix sockets that are still ours, and pidfiles.
func (m *master) vacuum() {
	for _, s := range m.sockets {
		if s.RemoveFile() {
			kind := ""
			if s.Protocol == sockets.Stats {
				kind = " (stats)"
			}
			logf("VACUUM: unix socket %s%s removed.", s.Path, kind)
		}
	}
	m.fifo.remove()
	own := strconv.Itoa(os.Getpid()) + "\n"
	for _, path := range m.pidfiles {
		if text, err := os.ReadFile(path); err == nil && string(text) == own && os.Remove(path) == nil {
			logf("VACUUM: pidfile %s removed.", path)
		}
	}
}
