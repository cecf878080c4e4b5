package master

import (
	"os"
	"path/filepath"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/workerspec"
	"envoxyd/uwsgiopts"
)

// touched watches files by their times of change, as uWSGI does: notifications
// miss what is behind a network or an overlay.
type touched struct {
	watches []touchWatch
}

// touchWatch is one file and what its change leads to.
type touchWatch struct {
	path string
	time time.Time // zero: there is no such file yet
	act  func(m *master, path string)
}

// reconfigure takes the files of cfg; those that were watched before keep their times.
func (t *touched) reconfigure(cfg *uwsgiopts.Config) {
	before := map[string]time.Time{}
	for _, w := range t.watches {
		before[w.path] = w.time
	}
	t.watches = nil
	add := func(names []string, act func(m *master, path string)) {
		for _, name := range names {
			path := paths.In(workDir(cfg), name)
			when, known := before[path]
			if !known {
				when = changeTime(path)
			}
			if !known && when.IsZero() {
				logf("unable to stat() %s, events will be triggered as soon as the file is created", filepath.Base(path))
			}
			t.watches = append(t.watches, touchWatch{path, when, act})
		}
	}
	add(cfg.TouchReload, func(m *master, path string) {
		logf("*** %s has been touched... grace them all !!! ***", path)
		m.reload(false)
	})
	add(cfg.TouchWorkersReload, func(m *master, path string) {
		logf("*** %s has been touched... workers reload !!! ***", path)
		m.reloadWorkers(false)
	})
	for role, names := range map[string][]string{workerspec.RoleMule: cfg.TouchMulesReload, workerspec.RoleSpooler: cfg.TouchSpoolersReload} {
		add(names, func(m *master, path string) {
			logf("*** %s has been touched... reloading all the %ss !!! ***", path, role)
			m.current.reloadAuxiliaries(role)
		})
	}
	for _, t := range cfg.TouchSignal {
		add(t[:1], func(m *master, _ string) {
			logDated("[uwsgi-touch-signal] raising %s", t[1])
			m.raise(signalNumber(t[1]))
		})
	}
	add(cfg.TouchChainReload, func(m *master, path string) {
		logf("*** %s has been touched... chain reload !!! ***", path)
		m.chainReload()
	})
	add(cfg.TouchLogrotate, func(m *master, _ string) { m.logs.rotate() })
	add(cfg.TouchLogreopen, func(m *master, _ string) { m.logs.reopen(cfg) })
	for _, t := range cfg.TouchExec {
		add(t[:1], func(m *master, _ string) { m.touchHook(cfg, uwsgiopts.Hook{Command: true, Text: t[1]}) })
	}
	for _, t := range cfg.HookTouch {
		add(t[:1], func(m *master, _ string) { m.touchHook(cfg, uwsgiopts.Hook{Text: t[1]}) })
	}
	for i, d := range cfg.Daemons {
		add(d.Touch, func(m *master, _ string) { m.jobs.daemons.Restart(i) })
	}
	for i, d := range cfg.Smart {
		add(d.Touch, func(m *master, _ string) { m.jobs.smart.Restart(i) })
	}
}

// touchHook runs one action beside everything else; the instance lives on if it fails.
func (m *master) touchHook(cfg *uwsgiopts.Config, hook uwsgiopts.Hook) {
	hook.Phase = "touch"
	one := *cfg
	one.Hooks = []uwsgiopts.Hook{hook}
	m.hooked(&one, m.hooks, []string{"touch"}, func(_ *master, err error) {
		if err != nil {
			logf("%v", err)
		}
	})
}

// poll acts on each file that has changed since the last time.
func (t *touched) poll(m *master) {
	var changed []touchWatch
	for i := range t.watches {
		w := &t.watches[i]
		if now := changeTime(w.path); !now.IsZero() && !now.Equal(w.time) {
			w.time = now
			changed = append(changed, *w)
		}
	}
	for _, w := range changed { // an action may change the list
		w.act(m, w.path)
	}
}

func changeTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
