package master

import (
	"fmt"
	"time"

	"envoxyd/master/process"
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
	case (g.cfg.LazyApps || g.cfg.Lazy) && !brutal:
		logf("...gracefully killing workers...")
		m.chainReload()
		return
	}
	logf("...gracefully killing workers...")
	m.history.reloadBegins(m.sys.now())
	defer func() { m.history.reloadEnds(m.sys.now(), "") }()
	for _, w := range g.workers {
		switch {
		case !w.Is(process.Ready): // it is fresh, or leaves, anyway
		case brutal:
			g.killNow(w)
		default:
			g.dismiss(&w.seat)
		}
	}
}

// chainReload starts a chain reload.
func (m *master) chainReload() {
	switch {
	case m.current == nil:
		return
	case m.reloads.chain != nil:
		logf("but chain reload is already running")
		return
	}
	m.reloads.chain = &chain{g: m.current}
	m.history.reloadBegins(m.sys.now())
	m.advanceChain()
}

// advanceChain goes on to the next victim when the last one has a successor.
func (m *master) advanceChain() {
	c := m.reloads.chain
	if c == nil {
		return
	}
	if c.victim != nil && !c.victim.cheap {
		switch w := c.victim; {
		case w.PID() != c.pid && w.Backoff.Row() > 0, w.PID() == c.pid && w.successors.Row() > 0:
			logf("chain reloading given up: worker %d does not come up again, the others stay as they are", w.ID)
			m.reloads.chain = nil
			m.history.reloadEnds(m.sys.now(), fmt.Sprintf("worker %d does not come up again", w.ID))
			return
		case w.PID() == c.pid || !w.Is(process.Ready):
			if now := m.sys.now(); now.Sub(c.waited) >= time.Second {
				c.waited = now
				logf("chain is still waiting for worker %d...", w.ID)
			}
			return
		}
	}
	victim := c.next()
	if victim == nil {
		logf("chain reloading complete")
		m.reloads.chain = nil
		m.history.reloadEnds(m.sys.now(), "")
		return
	}
	if victim.beside.Is(process.Absent) {
		victim.successors.reset() // somebody asks for it now
	}
	if !c.g.replaceable(victim) { // until another one is ready
		return
	}
	c.victim = victim
	c.pid, c.waited = c.victim.PID(), m.sys.now()
	logf("chain next victim is worker %d", c.victim.ID)
	c.g.replace(c.victim)
}

// next is the first worker behind the last victim that serves; nil: there is none.
func (c *chain) next() *worker {
	after := 0
	if c.victim != nil {
		after = c.victim.ID
	}
	for _, w := range c.g.workers[after:] {
		if w.Is(process.Ready) {
			return w
		}
	}
	return nil
}
