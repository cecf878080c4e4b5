package master

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// workDir is where --chdir leads: what the application and relative socket paths relate to.
func workDir(cfg *uwsgiopts.Config) string {
	dir := cfg.StartDir
	for _, change := range []string{cfg.Chdir, cfg.Chdir2} {
		if change != "" {
			dir = paths.In(dir, change)
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

// vacuum removes what --vacuum names, as far as this master made it and still owns it: unix
// sockets, pipes, pidfiles.
func (m *master) vacuum() {
	vacuumSockets(m.sockets)
	m.triggers.fifo.remove()
	m.owned.pidfiles.remove()
}

// isFile tells whether the file at path is the one that made describes; nil: none.
func isFile(path string, made os.FileInfo) bool {
	at, err := os.Lstat(path)
	return err == nil && made != nil && os.SameFile(at, made)
}
