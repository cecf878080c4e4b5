// Package filewatch tells of changes of a file, or of what a directory holds, as soon as the kernel does.
package filewatch

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// again is how long a path that has gone is waited for before it is looked at once more; soon the same for one that was
// there a moment ago, which is about to be replaced most likely.
const (
	again = time.Second
	soon  = again / 10
)

// Watch is one watched path.
type Watch struct {
	path    string
	watcher *fsnotify.Watcher
	ended   chan struct{}
	end     func()
	done    sync.WaitGroup
}

// New watches a path, and calls changed after each change, on a goroutine of its own; with calm, once there has been none
// for that long. changed may wait, but not for longer than until stopped is closed. A path that is not there is waited for; that it comes is a change. The error is of the
// system's, not of the path.
func New(path string, calm time.Duration, changed func(stopped <-chan struct{})) (*Watch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watch{path: path, watcher: watcher, ended: make(chan struct{})}
	w.end = sync.OnceFunc(func() { close(w.ended) })
	var retry <-chan time.Time
	switch err := watcher.Add(path); {
	case errors.Is(err, fs.ErrNotExist):
		retry = time.After(again)
	case err != nil:
		watcher.Close()
		return nil, err
	}
	w.done.Go(func() { w.run(retry, calm, changed) })
	return w, nil
}

func (w *Watch) run(retry <-chan time.Time, calm time.Duration, changed func(stopped <-chan struct{})) {
	defer w.watcher.Close()
	var settled <-chan time.Time
	for {
		select {
		case <-w.ended:
			return
		case <-settled:
			settled = nil
			changed(w.ended)
			continue
		case <-retry:
			if retry = nil; w.watcher.Add(w.path) != nil {
				retry = time.After(again)
				continue
			}
		case event := <-w.watcher.Events:
			if event.Has(fsnotify.Remove|fsnotify.Rename) && event.Name == w.path {
				retry = time.After(soon)
			}
		case <-w.watcher.Errors: // of the kernel's queue: something has changed
		}
		settled = time.After(calm)
	}
}

// Stop ends the watch. When it returns, changed does not run any more, and will not. A second time makes no difference.
func (w *Watch) Stop() {
	w.end()
	w.done.Wait()
}
