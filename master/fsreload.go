package master

import (
	"slices"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/master/filewatch"
	"envoxyd/uwsgiopts"
)

// settling is how long a file has to stay as it is until it counts as changed: editors and deployments write several times.
const settling = 100 * time.Millisecond

// fsReload are the watches of --fs-reload and --fs-brutal-reload.
type fsReload struct {
	given   [2][]string
	watches []*filewatch.Watch
}

// reconfigure watches what cfg names; what was watched before is watched on.
func (f *fsReload) reconfigure(m *master, cfg *uwsgiopts.Config) {
	given := [2][]string{cfg.FSReload, cfg.FSBrutalReload}
	if f.watches != nil && slices.Equal(given[0], f.given[0]) && slices.Equal(given[1], f.given[1]) {
		return
	}
	f.stop()
	f.given = given
	for brutal, names := range given {
		for _, name := range names {
			path := paths.In(workDir(cfg), name)
			watch, err := filewatch.New(path, settling, func(stopped <-chan struct{}) {
				reload := func(m *master) {
					logf("*** %s has changed... reloading ***", path)
					m.reload(brutal == 1)
				}
				select {
				case m.events <- reload:
				case <-stopped:
				}
			})
			if err != nil {
				logf("fs-reload: %s: %v", path, err)
				continue
			}
			logf("[uwsgi-fsmon] registered monitor for \"%s\"", path)
			f.watches = append(f.watches, watch)
		}
	}
}

// stop ends all watches.
func (f *fsReload) stop() {
	for _, watch := range f.watches {
		watch.Stop()
	}
	f.watches = nil
}
