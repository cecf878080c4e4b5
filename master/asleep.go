package master

import (
	"time"
)

// A generation is asleep when all of its places are empty until somebody connects:
// with --cheap from the start, after --idle, or by the fifo's C.

// sleepAtStart tells whether the next generation starts asleep.
func (m *master) sleepAtStart(cheap bool) bool {
	if m.current == nil {
		return cheap
	}
	return m.current.asleep
}

// goCheap has all workers leave until the next connection.
func (m *master) goCheap() {
	g := m.current
	if g == nil || g.asleep || m.life.stopping {
		return
	}
	g.asleep = true
	for _, w := range g.workers {
		if !w.cheap {
			g.cheapen(w)
		}
	}
	m.watchForConnections()
}

// watchForConnections wakes the workers at the next connection, or event of the gateway's.
func (m *master) watchForConnections() {
	logf("cheap mode enabled: waiting for socket connection...")
	var fds []int
	for _, s := range m.sockets {
		if s.ForWorkers() {
			fds = append(fds, s.FD)
		}
	}
	if arrivals := m.current.arrivals; arrivals >= 0 {
		fds = append(fds, arrivals)
	}
	watch, err := watchReadable(fds, m.events, func(m *master) { m.wake() })
	if err != nil { // better awake than deaf
		logf("cheap mode: %v", err)
		m.wake()
		return
	}
	m.triggers.connections = watch
}

// stopWatching ends what watchForConnections began.
func (m *master) stopWatching() {
	m.triggers.connections.close()
	m.triggers.connections = nil
}

// wake starts the workers that a generation begins with.
func (m *master) wake() {
	m.stopWatching()
	g := m.current
	if g == nil || !g.asleep || m.pausing.paused {
		return
	}
	g.asleep = false
	g.lastRequest = m.sys.now()
	for _, w := range g.workers[:m.countInitialWorkers(g.cfg)] {
		g.activate(w)
	}
}

// checkIdleness is --idle: nothing has been asked for so long that no worker is needed.
func (m *master) checkIdleness(now time.Time) {
	g := m.current
	if g == nil || g.cfg.Idle <= 0 || g.asleep || m.pausing.paused {
		return
	}
	var served uint64
	busy := false
	for _, w := range g.workers {
		served += g.requests(w)
		_, inRequest := g.inRequests(w, now)
		busy = busy || inRequest
	}
	if busy || served != g.served || g.lastRequest.IsZero() {
		g.served, g.lastRequest = served, now
		return
	}
	if now.Sub(g.lastRequest) <= g.cfg.Idle {
		return
	}
	logf("workers have been inactive for more than %d seconds (%d-%d)", g.cfg.Idle/time.Second, now.Unix(), g.lastRequest.Unix())
	if g.cfg.DieOnIdle {
		m.stop()
		return
	}
	m.goCheap()
}
