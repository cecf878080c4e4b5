package master

import (
	"syscall"
	"time"

	"envoxyd/master/process"
)

// leftoverTime is how long processes of an import have for their end, as in worker/python/envoxyd_worker/children.py.
const leftoverTime = 5 * time.Second

// leftovers are the processes that the application has forked while it was imported (a
// multiprocessing.Manager), when their zygote ended without ending them: it was killed.
type leftovers struct {
	of    process.Import
	due   bool      // they are to be ended when nobody of the generation can need them any more
	began time.Time // when they were first told
	told  map[int]bool
}

// endLeftovers ends what is left of the import when all others of the generation have gone.
func (g *generation) endLeftovers(now time.Time) {
	l := &g.leftovers
	if !l.due || g.zygote.State() != process.Lost || !g.empty() {
		return
	}
	found := g.m.sys.os.Orphans(l.of, g.m.knows)
	if len(found) == 0 {
		l.due = false
		return
	}
	if l.told == nil {
		l.told, l.began = map[int]bool{}, now
		logf("the zygote (pid: %d) has left processes that the application forked while it was imported: they are ended (%d)", g.zygote.Process().PID(), len(found))
	}
	for _, one := range found { // strangers.reap waits for them
		switch {
		case g.killed || now.Sub(l.began) > leftoverTime:
			_ = one.Signal(syscall.SIGKILL) // it has ended: it is found no more
		case !l.told[one.PID()]:
			l.told[one.PID()] = true
			_ = one.Signal(syscall.SIGTERM)
		}
		one.Release()
	}
}
