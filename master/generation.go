package master

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/logging"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// defaultMercy is uWSGI's; systemd kills everything after 90 s.
const defaultMercy = 60 * time.Second

// generation is one zygote and the workers that it forked: one version of the
// configuration and the code.
type generation struct {
	m        *master
	number   int
	cfg      *uwsgiopts.Config
	sockets  []*sockets.Socket
	board    *shm.Board
	zygote   *zygote
	handover int // where the gateway sends what it wants handled; -1: nowhere
	arrivals int // where that comes out, for the workers

	measured    time.Time // --evil-reload-on-*
	cheapening  cheapening
	crew        int  // places that were filled at the start
	asleep      bool // all places are empty until somebody connects
	served      uint64
	lastRequest time.Time // --idle: when served had changed, or a request was in hand
	logs        *logging.Plan
	outputs     *logging.Outputs // loggers that are not used yet; nil: none

	loaded    bool
	loadTime  time.Duration
	explained bool // the zygote has said itself why it could not load
	ready     int  // workers that have been ready
	workers   []*worker
	draining  bool
	mercy     time.Time // when draining workers are killed
	killed    bool
	began     time.Time
}

// worker is one worker's place in a generation; processes come and go in it.
type worker struct {
	id       int
	pid      int // 0: there is none at the moment
	process  *os.Process
	started  time.Time
	ready    bool
	readyPID int  // of the process that was last reported ready
	ever     bool // a process in this place has been ready
	leaving  bool // it said, or was told, that it ends
	forking  bool // the zygote was asked for a process
	cheap    bool // the place is to be empty: --cheaper, or asleep
	failed   int  // the status that it reported before ending, 0 otherwise
	quick    int  // deaths in a row soon after the start
	respawns int
	harakiri int // how often it was killed for one

	mercy        time.Time // when it is killed, should it not have left by then; zero: it may stay
	harakiriEnd  time.Time // when it is killed, having been asked to end; zero: it has not
	servedBefore uint64    // requests of the processes that were in this place before
}

// startNext starts a generation on opened sockets, which takes over when all workers that it starts with are ready.
func (m *master) startNext(cfg *uwsgiopts.Config, opened []*sockets.Socket) (err error) {
	defer func() {
		if err != nil {
			sockets.CloseUnused(opened, m.sockets)
		}
	}()
	g := &generation{m: m, number: m.number, cfg: cfg, sockets: opened, handover: -1, arrivals: -1, began: time.Now(), cheapening: newCheapening(cfg)}
	if g.asleep = m.sleepAtStart(cfg.Cheap); !g.asleep {
		g.crew = m.firstCrew(cfg)
	}
	for id := 1; id <= cfg.Processes; id++ {
		g.workers = append(g.workers, &worker{id: id, cheap: id > g.crew})
	}
	defer func() {
		if err != nil {
			g.dropLog()
			g.closeHandover()
			if g.board != nil {
				_ = g.board.Close() // nobody has it
			}
		}
	}()
	if err = g.prepareLog(); err != nil {
		return err
	}
	if g.board, err = shm.NewBoard(cfg.Processes, cfg.Threads); err != nil {
		return err
	}
	if g.zygote, err = g.startZygote(); err != nil {
		return err
	}
	m.number++
	m.next = g
	return nil
}

// report is what zygote and workers have to say.
func (g *generation) report(e workerspec.Event) {
	switch e.Kind {
	case "loaded":
		g.loaded, g.loadTime = true, time.Since(g.began)
		if g.draining {
			return
		}
		start := func(m *master) { m.hooked(g.cfg, []string{"post-app", "master-start"}, g.forkAll) }
		if g.m.current == nil {
			g.m.gateway.prepare(g.number, start)
		} else {
			start(g.m)
		}
	case "gateway":
		g.m.gateway.require()
	case "forked":
		g.adopt(g.workers[e.Worker-1], e.PID)
	case "ready":
		g.becameReady(e)
	case "stopping":
		if w := g.workers[e.Worker-1]; w.pid == e.PID {
			w.leaving = true
		}
	case "alarm":
		g.m.alarms.raise(e.Option, []byte(e.Text))
	case "failed":
		if e.Worker > 0 {
			g.workers[e.Worker-1].failed = e.Status
		} else {
			g.explained = true
		}
	}
}

// forkAll starts the workers, once the hooks before that have run.
func (g *generation) forkAll(m *master, err error) {
	switch {
	case g.draining:
	case err != nil:
		logf("%v", err)
		m.generationFailed(g, hookStatus(err))
	default:
		if err := m.writeSafePidfiles(g.cfg); err != nil {
			logf("%v", err)
			m.generationFailed(g, statusFailed)
			return
		}
		for _, w := range g.workers {
			g.respawn(w)
		}
		g.takeOver()
	}
}

// takeOver makes the generation the serving one when all that it starts with is ready.
func (g *generation) takeOver() {
	if g.m.next == g && g.ready >= g.crew {
		g.m.promote()
	}
}

// adopt makes a fresh process the worker: it is our child by now.
func (g *generation) adopt(w *worker, pid int) {
	m := g.m
	w.forking = false
	if pid <= 0 {
		logf("the zygote could not fork worker %d", w.id)
		m.after(time.Second, func(*master) { g.respawn(w) })
		return
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		logf("worker %d (pid: %d): %v", w.id, pid, err)
		return
	}
	w.pid, w.process, w.started, w.leaving, w.ready = pid, process, time.Now(), false, false
	w.servedBefore, w.mercy, w.harakiriEnd = g.requests(w), time.Time{}, time.Time{}
	if w.respawns > 0 {
		logf("Respawned uWSGI worker %d (new pid: %d)", w.id, pid)
	} else {
		logf("spawned uWSGI worker %d (pid: %d, cores: %d)", w.id, pid, g.cfg.Threads)
	}
	go func() { // ends with the process; a master that has finished does not wait for it
		state, err := process.Wait()
		m.post(func(*master) { g.exited(w, pid, state, err) })
	}()
	switch {
	case g.killed:
		_ = process.Kill()
	case g.draining:
		_ = process.Signal(syscall.SIGTERM)
	default:
		g.settle(w)
	}
}

func (g *generation) becameReady(e workerspec.Event) {
	w := g.workers[e.Worker-1]
	if g.draining { // forked while the zygote was already told to go
		_ = syscall.Kill(e.PID, syscall.SIGTERM)
		return
	}
	w.readyPID = e.PID
	g.settle(w)
}

// settle marks the process in a place ready. That it is and that it was forked are
// reported on different ways, and it may have ended before either arrives.
func (g *generation) settle(w *worker) {
	if w.process == nil || w.ready || w.readyPID != w.pid {
		return
	}
	w.ready, w.leaving = true, w.cheap
	if !w.ever {
		w.ever = true
		g.ready++
	}
	if w.cheap { // while it was starting
		g.replace(w)
	}
	g.m.tellPause(w)
	g.takeOver()
	g.m.followChain()
}

func (g *generation) respawn(w *worker) {
	if !g.draining && !w.cheap && w.pid == 0 && !w.forking {
		w.forking = true
		g.zygote.fork(w.id, w.respawns > 0)
	}
}

// drain ends the generation: its zygote forks no more, its workers finish what
// they have and leave. HUP waits for idle connections' next requests, TERM does not.
func (g *generation) drain(sig syscall.Signal) {
	g.draining = true
	g.mercy = time.Now().Add(mercy(g.cfg))
	g.zygote.dismiss()
	for _, w := range g.workers {
		if w.process == nil {
			continue
		}
		_ = w.process.Signal(sig) // it may have ended: exited will hear of it
	}
}

// mercy is how long requests are waited for: --worker-reload-mercy, else what
// people set in its place, --reload-mercy.
func mercy(cfg *uwsgiopts.Config) time.Duration {
	switch {
	case cfg.ReloadMercy > 0 && cfg.WorkerReloadMercy == defaultMercy:
		return cfg.ReloadMercy
	case cfg.WorkerReloadMercy > 0:
		return cfg.WorkerReloadMercy
	}
	return defaultMercy
}

// abandon ends a generation that has not taken over. Workers that are ready may
// have requests in hand and finish them; the rest need not be waited for.
func (g *generation) abandon() {
	g.drain(syscall.SIGTERM)
	if !g.loaded {
		g.zygote.kill()
	}
	for _, w := range g.workers {
		if w.process != nil && !w.ready {
			_ = w.process.Kill() // it may have ended: exited will hear of it
		}
	}
}

// kill ends the generation without waiting for anything.
func (g *generation) kill() {
	g.draining, g.killed = true, true
	g.mercy = time.Now()
	g.zygote.kill()
	for _, w := range g.workers {
		if w.process != nil {
			_ = w.process.Kill() // it may have ended: exited will hear of it
		}
	}
}

// gone: no process of this generation is left.
func (g *generation) gone() bool {
	if !g.zygote.ended {
		return false
	}
	for _, w := range g.workers {
		if w.pid != 0 {
			return false
		}
	}
	return true
}

func (g *generation) has(pid int) bool {
	if g.zygote.pid == pid {
		return true
	}
	for _, w := range g.workers {
		if w.pid == pid {
			return true
		}
	}
	return false
}

// enforce kills what has outstayed its time: mercy, harakiri.
func (g *generation) enforce(now time.Time) {
	if g.draining && now.After(g.mercy) && !g.killed {
		for _, w := range g.workers {
			if w.pid != 0 {
				logf("worker %d (pid: %d) is taking too much time to die...NO MERCY !!!", w.id, w.pid)
			}
		}
		g.kill()
	}
	for _, w := range g.workers {
		if w.process != nil {
			w.endMercy(now)
			g.harakiri(w, now)
		}
	}
}

func (g *generation) close() {
	g.dropLog()
	g.zygote.close()
	g.closeHandover()
	if err := g.board.Close(); err != nil {
		logf("%v", err)
	}
}

func (g *generation) closeHandover() {
	for _, fd := range []int{g.handover, g.arrivals} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	g.handover, g.arrivals = -1, -1
}

// after has an event happen later.
func (m *master) after(wait time.Duration, e event) {
	if wait <= 0 {
		e(m)
		return
	}
	time.AfterFunc(wait, func() { m.post(e) })
}
