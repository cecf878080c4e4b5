package master

import (
	"syscall"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/shm"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

// Workers that load the application by themselves (--lazy-apps) take their time. Where no other
// one serves meanwhile, a worker's successor comes up beside it, in the scoreboard's spare row:
// the old process leaves when the new one is ready, and serves on when that does not come up.

// successorBackoff is how fast successors that do not come up are replaced.
var successorBackoff = respawn.Policy{First: time.Second, Max: 30 * time.Second}

// retry spaces out attempts.
type retry struct {
	respawn.Backoff
	after time.Time // the next one
}

func newSuccessorRetry() retry { return retry{Backoff: respawn.Backoff{Policy: successorBackoff}} }

// reset has the next attempt be made at once.
func (r *retry) reset() {
	r.Reset()
	r.after = time.Time{}
}

// replaceable tells whether a worker can be replaced without a time in which none serves, as far
// as there is a way to that at all.
func (g *generation) replaceable(w *worker) bool {
	switch {
	case g.zygote.State() != process.Serving || !w.beside.Is(process.Absent):
		return false
	case g.othersAre(w, process.Ready):
		return true
	case g.board.Spare() == 0:
		return g.active() == 1
	}
	return g.mayOverlap(w)
}

// mayOverlap tells whether a successor can start beside a worker: no other worker is about to serve.
func (g *generation) mayOverlap(w *worker) bool {
	return g.spareRow != 0 && !g.m.sys.now().Before(w.successors.after) &&
		!g.othersAre(w, process.Ordered, process.Starting, process.Leaving)
}

// othersAre tells whether another worker is in one of the states.
func (g *generation) othersAre(than *worker, states ...process.State) bool {
	for _, w := range g.workers {
		if w != than && !w.cheap && w.Is(states...) {
			return true
		}
	}
	return false
}

// replace has another process take a replaceable worker's place: after that one has left, or
// before where else none would serve meanwhile.
func (g *generation) replace(w *worker) {
	if g.board.Spare() == 0 || g.othersAre(w, process.Ready) {
		g.dismiss(&w.seat)
		return
	}
	w.beside.Row, g.spareRow = g.spareRow, 0
	if err := g.zygote.Fork(&w.beside.Place, g.m.sys.now().Add(forkTimeout)); err != nil {
		g.noSuccessor(w, err.Error())
	}
}

// recycleNext replaces workers that ask for it, as far as that can be.
func (g *generation) recycleNext() {
	for _, w := range g.workers {
		if w.recycling && w.Is(process.Ready) && g.replaceable(w) {
			g.replace(w)
		}
	}
}

// succeed has the successor of a worker take its place, if it is ready, or the place is
// empty; false: there is none.
func (g *generation) succeed(w *worker) bool {
	if w.beside.unwanted || !w.Succeed(&w.beside.Place) {
		return false
	}
	w.notes, w.beside.notes = w.beside.notes, notes{}
	w.successors.reset()
	w.servedBefore = g.requests(w)
	g.board.Assign(w.Row, w.ID)
	if pid := w.PID(); pid != 0 {
		logf("Respawned uWSGI worker %d (new pid: %d)", w.ID, pid)
	}
	if w.beside.Process() == nil {
		g.freeRow(w)
		return true
	}
	for c := range g.board.Cores() { // uwsgi.workers() has the other one's now
		g.board.Core(w.beside.Row, c).PID.Store(0)
	}
	g.dismiss(&w.beside)
	return true
}

// freeRow makes the row of the process that was beside a worker the spare one.
func (g *generation) freeRow(w *worker) {
	row := w.beside.Row
	if row == 0 {
		return
	}
	g.board.Fold(row, g.board.Past(w.ID))
	g.board.Assign(row, 0)
	w.beside.Row, g.spareRow = 0, row
}

// endSuccessor ends a successor that is not ready yet, if there is one.
func (g *generation) endSuccessor(w *worker) {
	s := &w.beside
	if !s.Is(process.Ordered, process.Starting) {
		return
	}
	s.unwanted = true
	if s.Leave(g.m.sys.now().Add(mercy(g.cfg))) {
		s.Signal(syscall.SIGTERM)
	}
}

// besideEnded notes the end of a process beside a worker: of the one that had served before, or of a
// successor that did not come up.
func (g *generation) besideEnded(w *worker, was process.State, pid int, exit process.Exit) {
	w.beside.notes = notes{}
	switch {
	case g.draining:
		g.logBuried(w)
		g.m.forgetGone()
		return
	case was == process.Starting:
		logf("OOPS ! the successor (pid: %d) of worker %d has not come up: %v", pid, w.ID, exit)
		g.noSuccessor(w, exit.String())
	default:
		g.freeRow(w)
	}
	g.m.advanceChain()
	g.recycleNext()
}

// noSuccessor: the process that a worker is known by serves on, and another attempt is made later.
func (g *generation) noSuccessor(w *worker, reason string) {
	w.beside.notes = notes{}
	g.freeRow(w)
	wait := w.successors.Ended(0)
	w.successors.after = g.m.sys.now().Add(wait)
	logf("worker %d (pid: %d) serves on without a successor (%s): the next attempt is made in %v at the earliest", w.ID, w.PID(), reason, wait)
}

// newBoard makes a generation's scoreboard.
func newBoard(cfg *uwsgiopts.Config) (*shm.Board, error) {
	if cfg.LazyApps || cfg.Lazy {
		return shm.NewBoardWithSpare(cfg.Processes, cfg.Cores())
	}
	return shm.NewBoard(cfg.Processes, cfg.Cores())
}
