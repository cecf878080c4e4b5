package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// fileLocks are the files of --flock and its kin, locked for as long as the instance lives.
type fileLocks struct {
	held  []*os.File
	later []string // still locked by the master that this one takes over from
}

// take locks the files, or says which is somebody else's. After an upgrade the old
// master gives its locks up when it ends; they are not waited for.
func (l *fileLocks) take(ctx context.Context, cfg *uwsgiopts.Config, second bool) error {
	for _, lock := range cfg.Flocks {
		path := paths.In(cfg.StartDir, lock.Path)
		if second {
			l.later = append(l.later, path)
			continue
		}
		err := l.lock(path)
		if lock.Wait && errors.Is(err, unix.EWOULDBLOCK) {
			logf("waiting for the lock of %s", lock.Path)
			err = l.wait(ctx, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lockPoll is how often a lock is tried that somebody else has. A blocking flock(2) could
// not be given up.
const lockPoll = 100 * time.Millisecond

// wait tries until the lock is ours or ctx ends.
func (l *fileLocks) wait(ctx context.Context, path string) error {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("unable to lock %s: %w", path, ctx.Err())
		case <-ticker.C:
		}
		if err := l.lock(path); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
	}
}

// retry takes what could not be had before.
func (l *fileLocks) retry() {
	kept := l.later[:0]
	for _, path := range l.later {
		if l.lock(path) != nil {
			kept = append(kept, path)
		}
	}
	l.later = kept
}

func (l *fileLocks) lock(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
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
