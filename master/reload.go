package master

import (
	"os"
	"syscall"
	"time"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// patience is how long a generation may load before another reload takes its place.
const patience = time.Minute

// wanted is what was asked for while it could not be done.
type wanted struct{ reload, brutal, upgrade bool }

// catchUp does what was asked for in the meantime.
func (m *master) catchUp() {
	w := m.wanted
	m.wanted = wanted{}
	switch {
	case w.upgrade:
		m.upgrade()
	case w.reload:
		m.reload(w.brutal)
	}
}

// reload reads the configuration again and starts a generation beside the serving
// one. Brutal: when the new one serves, the old one's requests are not waited for.
func (m *master) reload(brutal bool) {
	if m.stopping || m.upgraded {
		return
	}
	if m.upgrader.busy {
		logf("reload: an upgrade is going on, which brings the new configuration with it")
		return
	}
	if m.cfg.ExitOnReload {
		logf("uWSGI: GAME OVER (insert coin)")
		m.stop()
		return
	}
	if m.hooking {
		m.wanted.reload, m.wanted.brutal = true, brutal
		return
	}
	if m.next != nil { // what it loads may be older than what is asked for now
		if time.Since(m.next.began) < patience {
			m.wanted.reload, m.wanted.brutal = true, brutal
			return
		}
		logf("reload: giving up the previous one, which has not come up for %v", patience)
		abandoned := m.next
		m.next = nil
		abandoned.kill()
		m.retire(abandoned)
	}
	m.brutal = brutal
	logf("...gracefully killing workers...")
	m.notify("RELOADING=1\n" + monotonic())
	cfg, err := m.reread()
	if err == nil {
		for _, notice := range cfg.Notices {
			logf("%s", notice)
		}
		err = checkDirectories(cfg)
	}
	if err != nil {
		logf("%v", err)
		m.reloadFailed()
		return
	}
	if cfg.LogReopen && cfg.LogFile() != "" {
		m.reopenLog(cfg)
	}
	m.hooking, m.hooks = true, m.newHooks()
	m.hooked(cfg, reloadPhases, func(m *master, err error) {
		m.hooking = false
		if m.stopping {
			return
		}
		if err == nil {
			err = m.startAgain(cfg)
		}
		if err != nil {
			logf("%v", err)
			m.reloadFailed()
		}
	})
}

func (m *master) startAgain(cfg *uwsgiopts.Config) error {
	opened, err := m.openSockets(cfg)
	if err != nil {
		return err
	}
	return m.startNext(cfg, opened)
}

// reloadFailed: the old generation goes on; if there is none, nothing is left to do.
func (m *master) reloadFailed() {
	if m.current == nil {
		m.status = max(m.status, statusFailed)
		m.stopping = true
		return
	}
	logf("*** reload failed: the previous configuration and code go on serving ***")
	m.notify("READY=1")
	m.catchUp()
}

// generationFailed: the generation could not start; status is what it ended with.
func (m *master) generationFailed(g *generation, status int) {
	if g.draining {
		m.forgetGone()
		return
	}
	g.kill()
	m.retire(g)
	first := m.current == nil
	switch {
	case m.next == g:
		m.next = nil
		sockets.CloseUnused(g.sockets, m.sockets)
		if first {
			m.status = status
			m.stopping = true
		} else {
			m.reloadFailed()
		}
	case m.current == g: // lazy applications that no longer load
		m.current = nil
		m.status = status
		m.stopping = true
	}
	m.forgetGone()
}

// promote makes the generation that has come up the serving one.
func (m *master) promote() {
	g, old := m.next, m.current
	m.next, m.current = nil, g
	m.stopWatching()
	before := m.sockets
	m.sockets, m.cfg = g.sockets, g.cfg
	sockets.Own(m.sockets, m.cfg.Listen)
	g.takeLog()
	m.gateway.activate(g)
	m.touched.follow(g.cfg)
	m.paused, m.chain = false, nil
	m.serveStats()
	m.fifo.follow(m)
	if old == nil {
		m.firstReady()
	} else {
		m.atExit(old.cfg)
		if retired := sockets.RetireUnused(before, m.sockets); m.cfg.Vacuum {
			vacuumSockets(retired)
		}
		logf("gracefully (RE)spawned uWSGI master process (pid: %d)", os.Getpid())
		if m.brutal {
			logf("...brutally killing workers...")
			old.kill()
		} else {
			old.drain(syscall.SIGHUP)
		}
		m.retire(old)
	}
	if g.asleep {
		m.watchForConnections()
	}
	m.replaceDaemons()
	m.smart.follow(m, g.cfg)
	m.crons.follow(g.cfg)
	m.orders.follow(m, g.cfg)
	m.pushers.follow(m, g.cfg)
	m.notices.follow(g.cfg, old == nil && m.upgrader.second)
	m.notify("READY=1\nMAINPID=" + pidText())
	m.forgetGone()
	m.catchUp()
}

// firstReady: the service is up for the first time.
func (m *master) firstReady() {
	cfg := m.cfg
	logf("spawned uWSGI master process (pid: %d)", os.Getpid())
	for i, s := range m.sockets {
		if s.Protocol == "http-router" {
			logf("spawned uWSGI http %d (pid: %d)", i+1, os.Getpid())
		}
	}
	setName(masterName(cfg))
	m.takeOver()
	tellParent()
}

// retire puts a generation among those that are on their way out.
func (m *master) retire(g *generation) { m.old = append(m.old, g) }

// forgetGone lets go of generations without processes.
func (m *master) forgetGone() {
	kept := m.old[:0]
	for _, g := range m.old {
		if g.gone() {
			g.close()
		} else {
			kept = append(kept, g)
		}
	}
	m.old = kept
}
