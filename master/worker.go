package master

import (
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

// forkTimeout is how long a zygote may take to carry out an order. One that takes longer is stuck.
const forkTimeout = 15 * time.Second

// workerBackoff is how fast a worker that keeps dying is replaced.
var workerBackoff = respawn.Policy{Healthy: 2 * time.Second, Free: 2, First: 100 * time.Millisecond, Max: 5 * time.Second}

// worker is one worker's place in a generation, and what the master knows of those who were in it.
type worker struct {
	seat                // of the process that the worker is known by
	beside       seat   // of a successor that comes up meanwhile, or of a predecessor that leaves
	successors   retry  // of successors that did not come up
	cheap        bool   // the place is to be empty: --cheaper, or asleep
	harakiris    int    // how often a process in this place was killed for one
	servedBefore uint64 // requests of the processes that were in this place before
}

// seat is a place for one process, and what the master knows of that.
type seat struct {
	process.Place
	notes
}

// notes are what the master knows of a process.
type notes struct {
	recycling   bool      // it asks to be replaced
	unwanted    bool      // it is to end as soon as it is there
	failed      int       // the status that it has said it fails with; 0: it has not
	harakiriEnd time.Time // when it is killed, having been asked to end; zero: it has not
}

func newWorker(id int, cheap bool) *worker {
	w := &worker{cheap: cheap, successors: newSuccessorRetry()}
	w.Place = process.Place{Kind: "worker", Role: workerspec.RoleWorker, ID: id, Backoff: respawn.Backoff{Policy: workerBackoff}}
	w.Row = id
	w.beside.Place = w.Place.Beside()
	return w
}

// seats are the worker's places.
func (w *worker) seats() [2]*seat { return [2]*seat{&w.seat, &w.beside} }

// seatOf is the seat of a process of the worker's; nil: it is none.
func (w *worker) seatOf(pid int) *seat {
	for _, s := range w.seats() {
		if s.PID() != 0 && s.PID() == pid {
			return s
		}
	}
	return nil
}

// awaiting is the seat for which a process has been ordered; nil: none has.
func (w *worker) awaiting() *seat {
	for _, s := range w.seats() {
		if s.Is(process.Ordered) {
			return s
		}
	}
	return nil
}

// seats are all places of the generation.
func (g *generation) seats() (all []*seat) {
	for _, w := range g.workers {
		all = append(all, &w.seat, &w.beside)
	}
	return all
}

// fill has the zygote fork a process for an empty place that is to have one.
func (g *generation) fill(w *worker) {
	if g.draining || w.cheap || !w.Is(process.Absent) {
		return
	}
	err := g.zygote.Fork(&w.Place, g.m.sys.now().Add(forkTimeout))
	if err == nil || g.zygote.State() == process.Lost { // the next generation brings workers
		return
	}
	logf("%v", err)
	g.forkFailed(w)
}

// forkFailed tries again later, after a wait that grows.
func (g *generation) forkFailed(w *worker) {
	wait := max(w.Backoff.Ended(0), time.Second)
	g.m.after(wait, func(*master) { g.fill(w) })
}

// errNotAwaited is returned for a process that no place waits for.
var errNotAwaited = errors.New("no process is awaited")

// adopt makes a fresh process the one in a place. Nobody is adopted whom this process has not
// forked, or who is known already: what a child says about others is not believed.
func (g *generation) adopt(w *worker, pid int) error {
	m, s := g.m, w.awaiting()
	if s == nil || m.knows(pid) {
		return errNotAwaited
	}
	child, err := m.sys.os.Adopt(pid)
	if err != nil {
		return err
	}
	s.Adopt(child, m.sys.now())
	g.board.Adopted(s.Row, pid, m.sys.now())
	unwanted := s.unwanted
	s.notes = notes{}
	m.logs.know(pid, workerspec.RoleWorker, w.ID)
	switch {
	case s == &w.beside:
		logf("worker %d: the successor (pid: %d) of process %d starts beside it", w.ID, pid, w.PID())
	case w.Starts() > 1:
		w.servedBefore = g.requests(w)
		logf("Respawned uWSGI worker %d (new pid: %d)", w.ID, pid)
	default:
		logf("spawned uWSGI worker %d (pid: %d, cores: %d)", w.ID, pid, g.cfg.Cores())
	}
	go func() { // ends with the process; a master that has finished does not wait for it
		exit, err := child.Wait()
		m.post(func(*master) { g.exited(w, pid, exit, err) })
	}()
	switch {
	case g.killed:
		s.Leave(time.Time{})
		s.Signal(syscall.SIGKILL)
	case g.draining:
		s.Leave(time.Time{})
		s.Signal(syscall.SIGTERM)
	case unwanted:
		g.endSuccessor(w)
	default:
		g.markReady(w, s, s.ConfirmReady)
	}
	return nil
}

// markReady notes what mark says of the process in a seat.
func (g *generation) markReady(w *worker, s *seat, mark func() (changed, first bool)) {
	changed, first := mark()
	if !changed {
		return
	}
	g.slowestStart = max(g.slowestStart, g.m.sys.now().Sub(s.Started()))
	switch {
	case s == &w.beside:
		g.succeed(w)
	case first:
		g.ready++
	}
	if w.cheap { // while it was starting
		g.dismiss(&w.seat)
	}
	g.m.tellPause(&w.seat)
	g.takeOver()
	g.m.advanceChain()
	g.recycleNext()
}

// dismiss has a process finish what it has and leave.
func (g *generation) dismiss(s *seat) {
	if s.Leave(g.m.sys.now().Add(mercy(g.cfg))) {
		s.Signal(syscall.SIGHUP)
	}
}

// killNow ends a worker without waiting for its requests; its place is filled again.
func (g *generation) killNow(w *worker) {
	g.endSuccessor(w) // what it loads may be older than what is asked for now
	w.Leave(time.Time{})
	g.killProcess(&w.seat)
}

// exited notes the end of a worker's process and decides what follows.
func (g *generation) exited(w *worker, pid int, exit process.Exit, err error) {
	s := w.seatOf(pid)
	if s == nil {
		return
	}
	was, lived, _ := s.Ended(pid, g.m.sys.now())
	g.m.logs.forget(pid)
	g.clearBoard(s.Row)
	if was != process.Leaving || exit.Signal != 0 {
		g.m.tellOfDeath()
	}
	if s == &w.beside {
		g.besideEnded(w, was, pid, exit)
		return
	}
	switch {
	case g.draining:
		g.logBuried(w)
		g.m.forgetGone()
		return
	case err != nil:
		logf("worker %d: %v", w.ID, err)
	case w.cheap:
		logf("uWSGI worker %d cheaped.", w.ID)
		return
	case !w.EverReady() && (w.failed != 0 || exit.Signal == 0 && !hasServed(exit)):
		g.failedToStart(w, pid, max(w.failed, exit.Status, statusFailed))
		return
	}
	if was != process.Leaving {
		g.logExit(w, pid, exit)
	}
	if g.succeed(w) {
		return
	}
	if g.cfg.DieOnNoWorkers && was != process.Leaving && g == g.m.current && g.empty() {
		logf("no worker is left: so the instance ends")
		g.m.life.status = statusFailed
		g.m.stop()
		return
	}
	wait := w.Pause(was, lived)
	if wait > 0 {
		logf("worker %d respawning too fast !!! it has to sleep a bit (%v)...", w.ID, wait)
	}
	g.m.after(wait, func(*master) { g.fill(w) })
}

// tellOfDeath has all workers look at the listening sockets. The kernel wakes a single worker for a new connection; if
// that one is killed before it accepts, nobody else would know of the connection.
func (m *master) tellOfDeath() {
	if m.owned.deaths == nil {
		return
	}
	if _, err := m.owned.deaths.Write(binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		logf("workers are not told of another one's death: %v", err)
	}
}

// clearBoard forgets what the process of a row was at.
func (g *generation) clearBoard(row int) {
	for c := range g.board.Cores() {
		core := g.board.Core(row, c)
		core.State.Store(shm.Absent)
		core.PID.Store(0)
		core.Calls.Store(0)
		core.Suspended.Store(0)
		core.Deadline.Store(0)
		core.UserDeadline.Store(0)
		core.Spooled.Store(0)
	}
}

// empty: no worker has a process.
func (g *generation) empty() bool {
	return !slices.ContainsFunc(g.seats(), func(s *seat) bool { return s.PID() != 0 })
}

// failedToStart: a worker that never served takes its generation with it.
func (g *generation) failedToStart(w *worker, pid, status int) {
	logf("OOPS ! failed loading app in worker %d (pid %d)", w.ID, pid)
	if g == g.m.current && g.ready > 0 && g.cheapening.policy != nil { // the others serve on
		w.cheap = true
		g.cheapening.hold = g.m.sys.now().Add(max(w.Backoff.Ended(0), time.Second))
		return
	}
	g.m.generationFailed(g, status)
}

// hasServed: only a worker that has come up ends with one of these statuses.
func hasServed(exit process.Exit) bool {
	const reloaded, ended = 17, 30
	return exit.Status == reloaded || exit.Status == ended
}

// logExit says how a process ended that was not to end.
func (g *generation) logExit(w *worker, pid int, exit process.Exit) {
	if exit.Signal == 0 {
		logf("DAMN ! worker %d (pid: %d) died with exit status %d :( trying respawn ...", w.ID, pid, exit.Status)
		return
	}
	logf("DAMN ! worker %d (pid: %d) died, killed by signal %d :( trying respawn ...", w.ID, pid, int(exit.Signal))
	if exit.Signal == syscall.SIGSEGV {
		g.m.logs.alarms.segfault(g.cfg.AlarmOnSegfault, w.ID, pid)
	}
}

// workerReport acts on what a worker has to say of itself. Others than the process in the
// place may write there too: children of the application, or one whose fork is not known yet.
func (g *generation) workerReport(r process.Report) {
	switch r.Kind {
	case "alarm":
		g.m.logs.alarms.raise(r.Option, []byte(r.Text))
		return
	case communityReport:
		g.communityReport(r)
		return
	case eventGateway.report, zmqGateway.report:
		g.m.gateways.require(r.Kind)
		return
	}
	switch {
	case g.signalReport(r):
		return
	case r.Role != "" && r.Role != workerspec.RoleWorker:
		g.auxiliaryReport(r)
		return
	case r.Worker < 1 || r.Worker > len(g.workers):
		return
	}
	w := g.workers[r.Worker-1]
	if w.seatOf(r.Sender) == nil && g.adopt(w, r.Sender) != nil {
		g.endStray(w, r.Sender)
		return
	}
	s := w.seatOf(r.Sender)
	switch r.Kind {
	case "started":
		if g.draining || s.unwanted { // it may not have heard before
			s.Signal(syscall.SIGTERM)
		}
	case "ready":
		switch { // neither then
		case g.draining:
			s.Signal(g.drainSignal)
		case s.unwanted:
			s.Signal(syscall.SIGTERM)
		default:
			g.markReady(w, s, func() (changed, first bool) { return s.MarkReady(r.Sender) })
		}
	case "recycle":
		s.recycling = true
		g.recycleNext()
	case "stopping":
		s.Leave(g.m.sys.now().Add(mercy(g.cfg)))
	case "failed":
		s.failed = r.Status
	}
}

// endStray ends a child that was forked for a place and that nobody awaits: the zygote died
// before it could tell, or took too long. Children of the application are none of ours.
func (g *generation) endStray(w *worker, pid int) {
	if g.m.knows(pid) {
		return
	}
	child, err := g.m.sys.os.Adopt(pid)
	if err != nil {
		return
	}
	logf("process %d was forked for worker %d, which nobody awaits: it is ended", pid, w.ID)
	_ = child.Signal(syscall.SIGKILL) // reapStrangers waits for it
	child.Release()
}
