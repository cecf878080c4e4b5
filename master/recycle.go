package master

import (
	"time"

	"envoxyd/internal/procmem"
	"envoxyd/master/process"
)

// retireOld ends workers that have lived for --max-worker-lifetime, one at a time.
func (g *generation) retireOld(now time.Time) {
	limit := g.cfg.MaxWorkerLifetime
	if limit <= 0 || g.draining {
		return
	}
	for _, w := range g.workers {
		age := now.Sub(w.Started())
		if !w.Is(process.Ready) || !g.replaceable(w) || age <= limit+time.Duration(w.ID-1)*g.cfg.MaxWorkerLifetimeDelta {
			continue
		}
		logf("worker %d lifetime reached, it was running for %d second(s)", w.ID, int(age.Seconds()))
		g.replace(w)
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
	for _, w := range g.seats() {
		if w.Process() == nil {
			continue
		}
		memory := procmem.PID(w.PID())
		rss, as := memory.Size()
		if asLimit > 0 {
			as -= memory.Reserved()
		}
		switch {
		case rssLimit > 0 && rss >= rssLimit:
			logf("*** EVIL RELOAD ON WORKER %d RSS: %d (pid: %d) ***", w.ID, rss, w.PID())
		case asLimit > 0 && as >= asLimit:
			logf("*** EVIL RELOAD ON WORKER %d ADDRESS SPACE: %d (pid: %d) ***", w.ID, as, w.PID())
		default:
			continue
		}
		g.killProcess(w)
	}
}
