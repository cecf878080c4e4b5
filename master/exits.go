package master

import (
	"os"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/shm"
)

// exited notes the end of a worker's process and decides what follows.
func (g *generation) exited(w *worker, pid int, state *os.ProcessState, err error) {
	if w.pid != pid {
		return
	}
	age := time.Since(w.started)
	w.pid, w.process, w.ready = 0, nil, false
	for c := range g.board.Cores() {
		core := g.board.Core(w.id, c)
		core.State.Store(shm.Absent)
		core.Suspended.Store(0)
		core.Deadline.Store(0)
		core.UserDeadline.Store(0)
	}
	if g.draining {
		logf("worker %d buried after %d seconds", w.id, int(age.Seconds()))
		g.m.forgetGone()
		return
	}
	if err != nil {
		logf("worker %d (pid: %d): %v", w.id, pid, err)
	}
	if w.cheap {
		logf("uWSGI worker %d cheaped.", w.id)
		w.failed = 0
		w.respawns++
		return
	}
	if !w.ever && (w.failed != 0 || !signaled(state) && !hasServed(state)) {
		g.failedToStart(w, pid, state)
		return
	}
	g.mourn(w, pid, state)
	if g.cfg.DieOnNoWorkers && !w.leaving && g == g.m.current && g.deserted() {
		logf("no worker is left: so the instance ends")
		g.m.status = statusFailed
		g.m.stop()
		return
	}
	w.failed = 0
	w.respawns++
	g.m.after(w.backoff(age), func(*master) { g.respawn(w) })
}

// deserted: no worker has a process.
func (g *generation) deserted() bool {
	return !slices.ContainsFunc(g.workers, func(w *worker) bool { return w.pid != 0 })
}

// failedToStart: a worker that never served takes its generation with it.
func (g *generation) failedToStart(w *worker, pid int, state *os.ProcessState) {
	status := w.failed
	if status == 0 && state != nil {
		status = max(state.ExitCode(), statusFailed)
	}
	logf("OOPS ! failed loading app in worker %d (pid %d)", w.id, pid)
	if g == g.m.current && g.ready > 0 && g.cheapening.policy != nil { // the others serve on
		w.cheap, w.failed = true, 0
		g.cheapening.hold = time.Now().Add(max(w.backoff(0), time.Second))
		return
	}
	g.m.generationFailed(g, status)
}

// hasServed: only a worker that has come up ends with one of these statuses.
func hasServed(state *os.ProcessState) bool {
	const reloaded, ended = 17, 30
	return state != nil && (state.ExitCode() == reloaded || state.ExitCode() == ended)
}

// signaled: somebody else ended the process; that says nothing about the application.
func signaled(state *os.ProcessState) bool {
	if state == nil {
		return false
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// mourn says how the process ended, unless it said so itself.
func (g *generation) mourn(w *worker, pid int, state *os.ProcessState) {
	if w.leaving || state == nil {
		return
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		logf("DAMN ! worker %d (pid: %d) died, killed by signal %d :( trying respawn ...", w.id, pid, status.Signal())
		if status.Signal() == syscall.SIGSEGV {
			g.m.alarmSegfault(g.cfg, w.id, pid)
		}
		return
	}
	logf("DAMN ! worker %d (pid: %d) died :( trying respawn ...", w.id, pid)
}

// backoff is how long a place stays empty after a process that lived for age:
// nothing at first, more with each death in a row, of this worker alone.
func (w *worker) backoff(age time.Duration) time.Duration {
	if age > 2*time.Second || w.leaving {
		w.quick = 0
		return 0
	}
	w.quick++
	if w.quick < 3 {
		return 0
	}
	wait := min(100*time.Millisecond<<min(w.quick-3, 6), 5*time.Second)
	logf("worker %d respawning too fast !!! it has to sleep a bit (%v)...", w.id, wait)
	return wait
}
