package emperor

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long files have to be left alone before a change of them counts: whoever writes one is not read in the midst
// of it. A change never waits longer than late.
const (
	quiet = 100 * time.Millisecond
	late  = time.Second
)

// watch tells of changes of configurations soon after they have been made; a look comes every --emperor-freq anyway.
func (e *Emperor) watch() <-chan struct{} {
	changes := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return changes
	}
	e.watcher = watcher
	e.running.Go(func() {
		defer watcher.Close()
		var first time.Time // of the changes that have not been told yet
		settled := time.NewTimer(time.Hour)
		defer settled.Stop()
		for {
			select {
			case change := <-watcher.Events:
				if !e.matters(change) {
					continue
				}
				now := time.Now()
				if first.IsZero() {
					first = now
				}
				settled.Reset(min(quiet, max(time.Until(first.Add(late)), 0)))
			case <-watcher.Errors: // changes may have been lost
				settled.Reset(quiet)
			case <-settled.C:
				first = time.Time{}
				select {
				case changes <- struct{}{}:
				default:
				}
			case <-e.ctx.Done():
				return
			}
		}
	})
	return changes
}

// matters tells whether a change may be one of a configuration: logs and sockets lie in the same directories.
func (e *Emperor) matters(change fsnotify.Event) bool {
	name := filepath.Base(change.Name)
	return option(e.cfg, name) != "" ||
		e.cfg.OnDemandExtension != "" && strings.HasSuffix(name, e.cfg.OnDemandExtension)
}

// watchSources has the directories of all sources watched, those too that have gone and come back.
func (e *Emperor) watchSources() {
	if e.watcher == nil {
		return
	}
	watched := e.watcher.WatchList()
	for _, s := range e.sources {
		if dir := s.Watched(); dir != "" && !slices.Contains(watched, dir) {
			_ = e.watcher.Add(dir) // not on every file system, nor is it always there
		}
	}
}
