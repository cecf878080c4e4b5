package master

import (
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/hooks"
	"envoxyd/master/logging"
	"envoxyd/master/process"
	"envoxyd/master/sockets"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// zygoteMercy is how long a zygote may take to end what the application has started in it.
const zygoteMercy = 6 * time.Second

// defaultMercy is uWSGI's; systemd kills everything after 90 s.
const defaultMercy = 60 * time.Second

// generation is one zygote and the workers that it forked: one version of the
// configuration and the code.
type generation struct {
	m        *master
	number   int
	cfg      *uwsgiopts.Config
	service  *modules.Service // envoxy.json; nil: there is none
	material *material        // of TLS; nil: no socket speaks it
	hooks    *hooks.Runner    // that have run for it
	sockets  []*sockets.Socket
	board    *shm.Board
	lines    *shm.Auxiliaries
	zygote   *process.Zygote
	link     *link
	handover int // where the gateway sends what it wants handled; -1: nowhere
	arrivals int // where that comes out, for the workers

	shared *sharedMemory // nil before the zygote has been started

	measured       time.Time // --evil-reload-on-*
	cheapening     cheapening
	initialWorkers int  // places that were filled at the start
	asleep         bool // all places are empty until somebody connects
	served         uint64
	lastRequest    time.Time // --idle: when served had changed, or a request was in hand
	logs           *logging.Plan
	logFile        *os.File         // the log file, opened anew for this generation; nil: it goes on with ours
	outputs        *logging.Outputs // loggers that are not used yet; nil: none

	loadTime     time.Duration
	community    *string // of SNMP, as the application has set it; nil: it has not
	explained    bool    // the zygote has said itself why it could not load
	problem      string  // that, as far as it has told the master
	ready        int     // places in which a process has been ready
	workers      []*worker
	auxiliaries  []*auxiliary
	signals      signals
	spareRow     int           // of the scoreboard, for a successor; 0: there is none, or it is in use
	slowestStart time.Duration // of a worker's process, from the fork until it was ready
	draining     bool
	drainSignal  syscall.Signal // that draining workers get
	told         time.Time      // when its processes were first told to end
	mercy        time.Time      // when draining workers are killed
	emptied      time.Time      // when the last of them had gone; zero: some are left
	leftovers    leftovers      // of the import
	straysUntil  time.Time      // a worker may come that the zygote could not tell of before it ended
	killed       bool
	began        time.Time

	reports <-chan struct{} // closed when no more come from workers, mules and spoolers
	hearing bool            // the last of them are being read
	heard   bool            // they were
}

// startNext starts a generation on sockets, which takes over when all workers that it starts with are ready.
func (m *master) startNext(p *preparation) (err error) {
	defer func() {
		if err != nil {
			sockets.CloseUnused(p.sockets, m.sockets)
		}
	}()
	cfg := p.cfg
	if err = m.keepDescriptors(cfg); err != nil {
		return err
	}
	g := &generation{m: m, number: m.number, cfg: cfg, service: p.service, material: p.material, hooks: p.hooks, sockets: p.sockets,
		handover: -1, arrivals: -1, began: m.sys.now(), cheapening: newCheapening(cfg)}
	if g.asleep = m.sleepAtStart(cfg.Cheap); !g.asleep {
		g.initialWorkers = m.countInitialWorkers(cfg)
	}
	if g.onlySupervises() {
		g.initialWorkers = 0
	}
	for id := 1; id <= cfg.Processes; id++ {
		g.workers = append(g.workers, newWorker(id, id > g.initialWorkers))
	}
	defer func() {
		if err != nil {
			g.dropLog()
			g.closeHandover()
			if g.board != nil {
				_ = g.board.Close() // nobody has it
			}
			if g.lines != nil {
				_ = g.lines.Close()
			}
		}
	}()
	if err = g.prepareLog(); err != nil {
		return err
	}
	if g.board, err = newBoard(cfg); err != nil {
		return err
	}
	g.auxiliaries = newAuxiliaries(cfg)
	if g.lines, err = shm.NewAuxiliaries(len(g.auxiliaries)); err != nil {
		return err
	}
	g.spareRow = g.board.Spare()
	if m.metrics != nil && metricsWanted(cfg) { // before the application is imported
		m.metrics.Declare(&cfg.MetricsConfig, workDir(cfg))
	}
	if m.current == nil { // a change counts from before the import on
		m.triggers.fsReload.reconfigure(m, cfg)
	}
	if err = m.offerCertificates(g); err != nil {
		return err
	}
	if err = g.startZygote(); err != nil {
		return err
	}
	m.number++
	m.next = g
	return nil
}

// onlySupervises: there is nothing to serve and no application, only daemons and jobs that the master runs.
func (g *generation) onlySupervises() bool {
	return !slices.ContainsFunc(g.sockets, (*sockets.Socket).ForWorkers) && !namesApplication(g.cfg)
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
		if m.current == nil { // as uWSGI has it: jobs are seen to before requests
			g.fillAuxiliaries(workerspec.RoleSpooler)
		}
		for _, w := range g.workers {
			g.fill(w)
		}
		g.takeOver()
	}
}

// takeOver makes the generation the serving one when all that it starts with is ready.
func (g *generation) takeOver() {
	if g.m.next == g && !g.m.life.stopping && g.ready >= g.initialWorkers {
		g.m.promote()
	}
}

// drain ends the generation: its zygote forks no more, its workers finish what
// they have and leave. HUP waits for idle connections' next requests, TERM does not.
// Workers that are starting have no ear for HUP yet: TERM ends them.
func (g *generation) drain(sig syscall.Signal) {
	g.draining, g.drainSignal = true, sig
	g.mercy = g.noteTold().Add(mercy(g.cfg))
	g.zygote.Dismiss()
	g.signals.schedule.Stop()
	g.drainAuxiliaries()
	for _, s := range g.seats() {
		starting := s.Is(process.Starting)
		s.Leave(time.Time{}) // g.mercy is the deadline of all
		if starting {
			s.Signal(syscall.SIGTERM)
		} else {
			s.Signal(sig)
		}
	}
}

// hasten has workers that HUP has told to end wait for idle connections no longer, as at a stop.
func (g *generation) hasten() {
	if !g.draining || g.drainSignal == syscall.SIGTERM {
		return
	}
	g.drainSignal = syscall.SIGTERM
	for _, s := range g.seats() {
		s.Signal(syscall.SIGTERM)
	}
}

// noteTold returns now, and notes it if the processes have not been told to end before.
func (g *generation) noteTold() time.Time {
	now := g.m.sys.now()
	if g.told.IsZero() {
		g.told = now
	}
	return now
}

// logBuried says how long a worker has taken to end, as uWSGI counts it: from when it was told to.
func (g *generation) logBuried(w *worker) {
	logf("worker %d buried after %d seconds", w.ID, int(g.m.sys.now().Sub(g.told).Seconds()))
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

// abandon ends a generation that has not taken over. Workers may have requests in hand, also
// those whose report of being ready is still on its way; others end by TERM at once.
func (g *generation) abandon() {
	loading := g.zygote.State() == process.Loading
	g.drain(syscall.SIGTERM)
	if loading {
		g.zygote.Kill()
	}
}

// kill ends the generation without waiting for anything.
func (g *generation) kill() {
	g.draining, g.killed = true, true
	g.mercy = g.noteTold()
	g.zygote.Terminate()
	g.signals.schedule.Stop()
	g.killAuxiliaries()
	g.m.after(zygoteMercy, func(*master) { g.zygote.Kill() })
	for _, s := range g.seats() {
		s.Leave(time.Time{})
		g.killProcess(s)
	}
}

// gone: no process of this generation is left.
func (g *generation) gone() bool {
	return g.zygote.State() == process.Lost && g.empty() && g.noAuxiliary() && !g.m.sys.now().Before(g.straysUntil) && !g.leftovers.due
}

// has tells whether the process is one of this generation's.
func (g *generation) has(pid int) bool {
	if g.zygote.Process().PID() == pid {
		return true
	}
	return slices.ContainsFunc(g.workers, func(w *worker) bool { return w.seatOf(pid) != nil }) ||
		slices.ContainsFunc(g.auxiliaries, func(a *auxiliary) bool { return a.PID() == pid })
}

// enforce ends what has outstayed its time: mercy, harakiri, orders to the zygote.
func (g *generation) enforce(now time.Time) {
	g.endZygote(now)
	g.endLeftovers(now)
	g.recycleNext()
	g.enforceAuxiliaries(now)
	if g.draining && now.After(g.mercy) && !g.killed {
		for _, s := range g.seats() {
			if s.PID() != 0 {
				logNoMercy(s)
			}
		}
		g.kill()
	}
	for _, w := range g.workers {
		for _, s := range w.seats() {
			g.enforceIn(w, s, now)
		}
	}
}

// enforceIn is enforce for one seat of a worker.
func (g *generation) enforceIn(w *worker, s *seat, now time.Time) {
	if s.LeaveLate(now) {
		logNoMercy(s)
		g.killProcess(s)
	}
	if s.Process() != nil {
		g.harakiri(w, s, now)
	}
	if limit := g.startTimeout(); limit > 0 && s.StartLate(now, limit) {
		logf("%v (pid: %d) is not ready after %v: it is killed", &s.Place, s.PID(), limit)
		s.Signal(syscall.SIGKILL)
	}
	if number, late := s.OrderLate(now); late {
		logf("the zygote (pid: %d) has not forked %v for %v: it is stuck and is killed", g.zygote.Process().PID(), &s.Place, forkTimeout)
		g.orderFailed(w, number, "the zygote is stuck")
		g.zygote.Kill()
	}
}

// startTimeout is how long a worker's process may take until it is ready: ten times as long as the slowest
// before it, a minute at least. 0: there is no limit, as nothing is known yet.
func (g *generation) startTimeout() time.Duration {
	if g.slowestStart == 0 {
		return 0
	}
	return max(10*g.slowestStart, time.Minute)
}

// endZygote kills a zygote that does not go although its last worker has.
func (g *generation) endZygote(now time.Time) {
	switch {
	case !g.draining || !g.empty() || !g.noAuxiliary():
		g.emptied = time.Time{}
	case g.emptied.IsZero():
		g.emptied = now
	case now.Sub(g.emptied) > zygoteMercy:
		g.zygote.Kill()
	}
}

func logNoMercy(s *seat) {
	logf("worker %d (pid: %d) is taking too much time to die...NO MERCY !!!", s.ID, s.PID())
}

func (g *generation) close() {
	g.dropLog()
	g.link.close()
	g.closeHandover()
	for _, memory := range []io.Closer{g.board, g.lines} {
		if err := memory.Close(); err != nil {
			logf("%v", err)
		}
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
