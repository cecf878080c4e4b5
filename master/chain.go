package master

import (
	"syscall"
	"time"
)

// chain is a chain reload under way: worker after worker is replaced, each only
// when the one before has come up again.
type chain struct {
	g      *generation
	victim *worker
	pid    int // of the process that the victim was
	waited time.Time
}

// reloadWorkers replaces the workers, and keeps the application that the zygote has
// loaded. With lazy-apps, where new code may not load, one goes after the other.
func (m *master) reloadWorkers(brutal bool) {
	g := m.current
	switch {
	case g == nil:
		return
	case g.cfg.LazyApps || g.cfg.Lazy:
		m.chainReload()
		return
	}
	logf("...gracefully killing workers...")
	for _, w := range g.workers {
		if !w.ready { // it is fresh anyway
			continue
		}
		if brutal {
			w.leaving = true
			_ = w.process.Kill() // it may have ended: exited will hear of it
		} else {
			g.replace(w)
		}
	}
}

// replace has a worker finish what it has and leave; its place is filled again.
func (g *generation) replace(w *worker) {
	w.mercy = time.Now().Add(mercy(g.cfg))
	_ = w.process.Signal(syscall.SIGHUP) // it may have ended: exited will hear of it
}

// endMercy kills a worker that was to leave and has not.
func (w *worker) endMercy(now time.Time) {
	if w.mercy.IsZero() || now.Before(w.mercy) {
		return
	}
	logf("worker %d (pid: %d) is taking too much time to die...NO MERCY !!!", w.id, w.pid)
	w.mercy = time.Time{}
	_ = w.process.Kill() // it may have ended: exited will hear of it
}

// chainReload starts a chain reload.
func (m *master) chainReload() {
	switch {
	case m.current == nil:
		return
	case m.chain != nil:
		logf("but chain reload is already running")
		return
	}
	m.chain = &chain{g: m.current}
	m.followChain()
}

// followChain goes on to the next victim when the last one has a successor.
func (m *master) followChain() {
	c := m.chain
	if c == nil {
		return
	}
	if c.victim != nil && !c.victim.cheap {
		switch w := c.victim; {
		case w.pid != c.pid && w.quick > 0:
			logf("chain reloading given up: worker %d does not come up again, the others stay as they are", w.id)
			m.chain = nil
			return
		case w.pid == c.pid || !w.ready:
			if now := time.Now(); now.Sub(c.waited) >= time.Second {
				c.waited = now
				logf("chain is still waiting for worker %d...", w.id)
			}
			return
		}
	}
	if c.victim = c.next(); c.victim == nil {
		logf("chain reloading complete")
		m.chain = nil
		return
	}
	c.pid, c.waited = c.victim.pid, time.Now()
	logf("chain next victim is worker %d", c.victim.id)
	c.g.replace(c.victim)
}

// next is the first worker behind the last victim that serves; nil: there is none.
func (c *chain) next() *worker {
	after := 0
	if c.victim != nil {
		after = c.victim.id
	}
	for _, w := range c.g.workers[after:] {
		if w.ready && !w.leaving {
			return w
		}
	}
	return nil
}
