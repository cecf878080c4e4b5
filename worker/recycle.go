package worker

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// requestDone counts a request and ends the worker when it has served its share.
func (w *Worker) requestDone() {
	served := w.served.Add(1)
	limits := &w.spec.Limits
	if w.limit == 0 && limits.ReloadOnRSS == 0 && limits.ReloadOnAS == 0 || w.phase.Load() != serving {
		return
	}
	if time.Since(w.started) < time.Duration(limits.MinLifetimeSeconds)*time.Second {
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
}

func (w *Worker) recycle(format string, args ...any) {
	w.logf("...The work of process %d is done (%s). Seeya!", os.Getpid(), fmt.Sprintf(format, args...))
	w.Stop(reloading, exitReload)
}

// memory is the process's resident and virtual size in bytes; the latter without
// what the Go runtime has reserved but not used.
func memory() (rss, as int64) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	var pages, resident int64
	if _, err := fmt.Sscan(string(text), &pages, &resident); err != nil {
		return 0, 0
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	size := int64(os.Getpagesize())
	return resident * size, max(pages*size-goReservation()+int64(stats.Sys), 0)
}

// goReservation is the address space of anonymous mappings without access rights.
func goReservation() (total int64) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var from, to uint64
		var rights string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); n == 3 && strings.HasPrefix(rights, "---") {
			total += int64(to - from)
		}
	}
	return total
}
