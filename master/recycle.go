package master

import (
	"syscall"
	"time"

	"envoxyd/internal/procmem"
)

// retireOld ends workers that have lived for --max-worker-lifetime, one at a time.
func (g *generation) retireOld(now time.Time) {
	limit := g.cfg.MaxWorkerLifetime
	if limit <= 0 || g.draining {
		return
	}
	for _, w := range g.workers {
		age := now.Sub(w.started)
		if w.process == nil || w.leaving || !w.ready || age <= limit+time.Duration(w.id-1)*g.cfg.MaxWorkerLifetimeDelta {
			continue
		}
		logf("worker %d lifetime reached, it was running for %d second(s)", w.id, int(age.Seconds()))
		w.leaving = true
		_ = w.process.Signal(syscall.SIGHUP) // it may have ended: exited will hear of it
		return
	}
}

// reloadEvilly kills workers that hold more memory than --evil-reload-on-rss or
// --evil-reload-on-as allow, whatever they are at.
func (g *generation) reloadEvilly(now time.Time) {
	rssLimit, asLimit := g.cfg.EvilReloadOnRSS, g.cfg.EvilReloadOnAS
	if rssLimit <= 0 && asLimit <= 0 || now.Sub(g.measured) < g.cfg.MemCollectorFreq {
		return
	}
	g.measured = now
	for _, w := range g.workers {
		if w.process == nil {
			continue
		}
		process := procmem.PID(w.pid)
		rss, as := process.Size()
		if asLimit > 0 {
			as -= process.Reserved()
		}
		switch {
		case rssLimit > 0 && rss >= rssLimit:
			logf("*** EVIL RELOAD ON WORKER %d RSS: %d (pid: %d) ***", w.id, rss, w.pid)
		case asLimit > 0 && as >= asLimit:
			logf("*** EVIL RELOAD ON WORKER %d ADDRESS SPACE: %d (pid: %d) ***", w.id, as, w.pid)
		default:
			continue
		}
		_ = w.process.Kill() // it may have ended: exited will hear of it
	}
}
