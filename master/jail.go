package master

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// jail is the directory of --chroot, as seen from outside; "": there is none.
func jail(cfg *uwsgiopts.Config) string {
	if cfg.Chroot == "" {
		return ""
	}
	return paths.In(cfg.StartDir, cfg.Chroot)
}

// enterJail makes the directory of --chroot the root of this process and of all that it will start. Paths of the configuration
// are those in there from then on, relative ones start at its root; sockets, pidfile and log are open already.
func enterJail(cfg *uwsgiopts.Config) error {
	if cfg.Chroot == "" {
		return nil
	}
	dir := jail(cfg)
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot %s: %w", dir, err)
	}
	cfg.StartDir = "/"
	logf("chroot() to %s", dir)
	if cfg.NoServer || cfg.Chroot == "/" {
		return nil
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		return fmt.Errorf("chroot %s: there is no /proc in it: mount it before, e.g. by --hook-pre-jail 'mount:proc none %s/proc'", dir, dir)
	}
	if _, err := libDir(); err != nil {
		return fmt.Errorf("chroot %s: envoxyd has to be in it, at the same path as outside: %w", dir, err)
	}
	if _, _, err := choosePython(cfg); err != nil { // the start of the zygote tells of its notices
		return fmt.Errorf("chroot %s: %w", dir, err)
	}
	return nil
}
