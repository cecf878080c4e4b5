package master

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"envoxyd/master/sockets"
)

// outliveReaders keeps a log without a reader from ending the process: to Go, EPIPE on
// descriptor 1 or 2 is fatal unless somebody asks for SIGPIPE. Children have the default again.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// notifySignals turns signals into events until the returned function is called.
//
// HUP reloads, or upgrades when the executable on disk is another one; USR2
// upgrades; TERM, INT and QUIT stop, except that QUIT is a brutal reload with
// --die-on-term. Twice the same order to stop does not wait for requests.
func (m *master) notifySignals() (stop func()) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGPIPE)
	done := make(chan struct{})
	var forward sync.WaitGroup
	forward.Go(func() {
		for {
			select {
			case s := <-signals:
				select {
				case m.events <- func(m *master) { m.handle(s) }:
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(done)
		forward.Wait()
	}
}

func (m *master) handle(s os.Signal) {
	if name := m.triggers.remapped[s]; name != "" {
		m.function(name)
		return
	}
	switch s {
	case syscall.SIGHUP:
		if !m.upgrader.busy && m.vassal == nil && m.upgrader.replaced() {
			logf("the executable has been replaced: upgrading")
			m.upgrade()
			return
		}
		m.reload(false)
	case syscall.SIGUSR2:
		m.upgrade()
	case syscall.SIGTERM, syscall.SIGINT:
		m.stopBySignal(s)
	case syscall.SIGQUIT:
		if m.cfg.DieOnTerm {
			m.reload(true)
		} else {
			m.stopBySignal(s)
		}
	case syscall.SIGTSTP:
		m.togglePause()
	case syscall.SIGUSR1:
		m.logTotals()
	}
}

// lastStop is the last signal that has asked for a stop.
type lastStop struct {
	signal os.Signal
	when   time.Time
}

// repeatTime is the time in which the same signal counts once. Many supervisors send it to
// the process and to its group: coreutils' timeout, shells, process managers.
const repeatTime = time.Second

func (m *master) stopBySignal(s os.Signal) {
	now := m.sys.now()
	if m.life.stopping && m.life.stopped.signal == s && now.Sub(m.life.stopped.when) < repeatTime {
		return
	}
	m.life.stopped = lastStop{s, now}
	m.stop()
}

// stop ends everything: idle workers at once, busy ones after their requests. A second
// time it does not wait for requests.
func (m *master) stop() {
	if m.life.starting {
		if m.life.stopping {
			m.breakOff()
		}
		m.life.stopping = true
		m.life.giveUp()
		return
	}
	if m.life.stopping {
		logf("...stopping without waiting any longer")
		for _, g := range m.generations() {
			g.kill()
		}
		m.gateways.hurry()
		m.routers.hurry()
		m.tracer.hurry()
		m.exitHooks.stop()
		return
	}
	logf("SIGINT/SIGTERM received...killing workers...")
	m.drainAll()
}

// stopGracefully is stop in the words of the fifo's q; requests in hand are finished in both.
func (m *master) stopGracefully() {
	if m.life.stopping {
		return
	}
	logf("graceful shutdown triggered...")
	for _, g := range m.generations() {
		for _, s := range g.seats() {
			if s.PID() != 0 {
				logf("Gracefully killing worker %d (pid: %d)...", s.ID, s.PID())
			}
		}
	}
	m.drainAll()
}

// drainAll has all generations finish what they have.
func (m *master) drainAll() {
	m.life.stopping, m.reloads.chain = true, nil
	if m.upgrader.busy { // its result is waited for
		m.upgrader.Stop()
	}
	m.stopWatching()
	m.jobs.daemons.Stop()
	m.jobs.smart.Stop()
	notify("STOPPING=1")
	m.watchdog.stop()
	if m.next != nil {
		m.next.abandon()
		m.retire(m.next)
		m.next = nil
	}
	m.leaveRouters(func(m *master) { // before anything stops: what comes meanwhile is served
		m.routers.stop(false, func(m *master) { // before the workers, whose requests may come through them
			m.gateways.quiesce(func(m *master) {
				for _, g := range m.generations() {
					g.hasten()
				}
				m.drainCurrent(syscall.SIGTERM)
				m.after(lastAccepts, (*master).refuse)
			})
		})
	})
}

// refuse closes the listening sockets to clients, unless the next executable may still take them over.
func (m *master) refuse() {
	switch {
	case m.upgrader.busy:
		m.after(lastAccepts, (*master).refuse)
	case !m.life.upgraded:
		sockets.Refuse(m.sockets)
	}
}

// drainCurrent has the serving generation finish what it has.
func (m *master) drainCurrent(sig syscall.Signal) {
	if m.current != nil {
		m.current.drain(sig)
		m.retire(m.current)
		m.current = nil
	}
	m.forgetGone()
}

// lastAccepts is the time that workers have to accept what was queued before a stop.
const lastAccepts = 50 * time.Millisecond

// logTotals answers USR1.
func (m *master) logTotals() {
	if err := m.cfg.WriteShowConfig(logWriter()); err != nil {
		logf("%v", err)
	}
	if m.current == nil {
		return
	}
	g := m.current
	var total uint64
	for _, w := range g.workers {
		total += g.requests(w)
	}
	logf("\tworkers total requests: %d\n-----------------", total)
	for _, w := range g.workers {
		logf("\tworker %d app 0 [] requests: %d exceptions: %d", w.ID, g.requests(w), g.snapshot(w).Exceptions)
	}
}
