package worker

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"envoxyd/internal/procmem"
	"envoxyd/internal/workerspec"
)

// requestDone counts a request and ends the worker when it has served its share. now is as reactor.now.
func (w *Worker) requestDone(now int64) {
	served := w.served.Add(1)
	limits := &w.spec.Limits
	if w.limit == 0 && limits.ReloadOnRSS == 0 && limits.ReloadOnAS == 0 && limits.ReloadOnUSS == 0 && limits.ReloadOnPSS == 0 || w.phase.Load() != serving {
		return
	}
	if now-w.started < int64(limits.MinLifetimeSeconds)*int64(time.Second) {
		return
	}
	if w.limit > 0 && served >= w.limit {
		w.recycle("max requests reached (%d >= %d)", served, w.limit)
		return
	}
	if limits.ReloadOnRSS > 0 || limits.ReloadOnAS > 0 {
		rss, as := memory()
		switch {
		case limits.ReloadOnRSS > 0 && rss >= limits.ReloadOnRSS:
			w.recycle("reload-on-rss limit reached (%d >= %d)", rss, limits.ReloadOnRSS)
		case limits.ReloadOnAS > 0 && as >= limits.ReloadOnAS:
			w.recycle("reload-on-as limit reached (%d >= %d)", as, limits.ReloadOnAS)
		}
	}
	if limits.ReloadOnUSS > 0 || limits.ReloadOnPSS > 0 {
		uss, pss := procmem.Self.Own()
		switch {
		case limits.ReloadOnUSS > 0 && uss >= limits.ReloadOnUSS:
			w.recycle("reload-on-uss limit reached (%d >= %d)", uss, limits.ReloadOnUSS)
		case limits.ReloadOnPSS > 0 && pss >= limits.ReloadOnPSS:
			w.recycle("reload-on-pss limit reached (%d >= %d)", pss, limits.ReloadOnPSS)
		}
	}
}

// recycle ends the worker. Where its successor has to import the application first, it serves on
// until the master lets it go: when others serve, or the successor does.
func (w *Worker) recycle(format string, args ...any) {
	asks := w.spec.Python.LazyApps
	if asks && !w.asked.CompareAndSwap(false, true) {
		return
	}
	w.logf("...The work of process %d is done (%s). Seeya!", os.Getpid(), fmt.Sprintf(format, args...))
	if asks {
		w.report(workerspec.Event{Kind: "recycle"})
		return
	}
	w.Stop(reloading, exitReload)
}

// memory is the process's resident and virtual size in bytes; the latter without
// what the Go runtime has reserved but not used.
func memory() (rss, as int64) {
	rss, vsz := procmem.Self.Size()
	if vsz == 0 {
		return 0, 0
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return rss, max(vsz-procmem.Self.Reserved()+int64(stats.Sys), 0)
}
