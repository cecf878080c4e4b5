package master

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// fileLocks are the files of --flock and its kin, locked for as long as the instance lives.
type fileLocks struct {
	held  []*os.File
	later []string // still locked by the master that this one takes over from
}

// take locks the files, or says which is somebody else's. After an upgrade the old
// master gives its locks up when it ends; they are not waited for.
func (l *fileLocks) take(cfg *uwsgiopts.Config, second bool) error {
	for _, lock := range cfg.Flocks {
		path := absolute(cfg.StartDir, lock.Path)
		if second {
			l.later = append(l.later, path)
			continue
		}
		how := unix.LOCK_EX
		if !lock.Wait {
			how |= unix.LOCK_NB
		} else {
			logf("waiting for the lock of %s", lock.Path)
		}
		if err := l.lock(path, how); err != nil {
			return err
		}
	}
	return nil
}

// retry takes what could not be had before.
func (l *fileLocks) retry() {
	kept := l.later[:0]
	for _, path := range l.later {
		if l.lock(path, unix.LOCK_EX|unix.LOCK_NB) != nil {
			kept = append(kept, path)
		}
	}
	l.later = kept
}

func (l *fileLocks) lock(path string, how int) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), how)
		if err != unix.EINTR { //nolint:errorlint // unix returns the plain number
			break
		}
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("unable to lock %s: %w", path, err)
	}
	l.held = append(l.held, file)
	return nil
}
