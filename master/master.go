// Package master supervises: it opens sockets, starts a zygote and its workers,
// replaces the dead, and carries out reload, upgrade and stop.
//
// One goroutine owns all state. Signals, exits and reports reach it as events,
// so nothing here needs a lock.
package master

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/master/daemons"
	"envoxyd/master/hooks"
	"envoxyd/master/logging"
	"envoxyd/master/management"
	"envoxyd/master/metrics"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/master/signaling"
	"envoxyd/master/snmp"
	"envoxyd/master/sockets"
	"envoxyd/master/stats"
	"envoxyd/master/subscribing"
	"envoxyd/uwsgiopts"
)

// Exit statuses of the whole; uWSGI's own.
const (
	statusOK       = 0
	statusFailed   = 1
	statusNoApp    = 22
	statusNoEnvoxy = 246 // upstream envoxyd's, for a conf that cannot be used
)

// Reread reads the configuration again, as it was read at the start.
type Reread func() (*uwsgiopts.Config, error)

// master is the state of one run. What belongs together stands together below.
type master struct {
	cfg     *uwsgiopts.Config
	reread  Reread
	started time.Time
	events  chan event
	sys     system

	current *generation   // serving
	next    *generation   // loading, to take over
	old     []*generation // on their way out
	number  int           // of the newest generation

	sockets      []*sockets.Socket
	owned        owned
	life         life
	reloads      reloads
	history      history
	upgrader     *upgrader
	pausing      pausing
	triggers     triggers
	logs         logs
	jobs         jobs
	gateways     gateways
	routers      *routers
	tracer       *tracer
	announcer    subscribing.Announcer
	queues       *signalQueues
	router       *signaling.Router
	vassal       *vassal
	lossTold     lossTold
	flushing     bool // what waits for room is tried again soon
	metrics      *metrics.Registry
	snmpValues   *shm.SNMPValues // what the application has set
	tallies      tallies
	commands     *commands
	strangers    strangers
	hooks        *hooks.Runner
	exitHooks    exitHooks
	watchdog     *watchdog
	certificates certificates
	stats        management.Servers
	prometheus   management.Servers
	snmp         snmp.Agent
	pushers      stats.Pushers
	statusPage   statusPage
	lastSweep    time.Time
}

// system is the operating system as far as tests replace it.
type system struct {
	os     process.OS
	launch launch
	now    func() time.Time
}

// owned is what the master has made, or holds, for as long as it lives.
type owned struct {
	alive     *os.File // its writer is ours alone: workers see when we are gone
	keep      *os.File
	resources *resources.Resources
	kept      *resources.Kept
	deaths    *os.File // see workerspec.Spec.DeathsFD; nil before the first generation, kept's
	locks     fileLocks
	pidfiles  pidfiles
}

// life is how far the master is between its start and its end.
type life struct {
	starting bool            // the start is prepared beside the loop
	making   sync.Mutex      // held there while sockets and pidfiles are made
	startCtx context.Context // ends when the start is given up
	giveUp   context.CancelFunc
	stopping bool
	stopped  lastStop
	alone    bool      // there are no sockets and no workers: see Alone
	material *material // of TLS, for the first generation
	upgraded bool      // another master has taken over

	signalsUntil time.Time // how long it is waited for room for signals then
	status       int       // that the process ends with
}

// reloads are the reload in hand, and what was asked for meanwhile.
type reloads struct {
	preparing bool // beside the loop
	brutal    bool // it does not wait for requests
	pending   pendingRequests
	recovery  recovery
	chain     *chain
}

// pausing is whether workers leave connections waiting, and how often that has changed.
type pausing struct {
	paused bool
	pauses int
}

// triggers are the ways, besides signals, in which the master is told to do something.
type triggers struct {
	touched      touched
	fifo         fifo
	fdReload     fdWatches
	fdAlarm      fdWatches
	fsReload     fsReload
	notifySocket notifySocket

	subscriptionNotify notifySocket
	zerg               zergServers
	remapped           map[os.Signal]string // signals with another meaning
	connections        *readableWatch       // while the serving generation is asleep; else nil
}

// logs is where the lines of all processes go.
type logs struct {
	log      *logging.Log  // nil: every process writes for itself
	logOpen  bool          // its loggers are open
	plan     *logging.Plan // that log has last been used with
	alarms   *alarms
	commands *commands // that loggers run
	second   bool      // another master has opened the log before
}

// jobs are the processes that run beside the workers.
type jobs struct {
	daemons *daemons.Attached
	smart   *daemons.Smart
	crons   crons
}

// lossTold is what the log has said last of signals that are lost.
type lossTold struct {
	text string
	at   time.Time
}

// event is something that has happened; it runs on the goroutine that owns the state.
type event func(m *master)

// Run serves what cfg says until it is told to stop, and returns the exit status.
func Run(cfg *uwsgiopts.Config, reread Reread) int {
	outliveReaders()
	if status, done := daemonize(cfg); done {
		return status
	}
	m := &master{cfg: cfg, reread: reread, started: time.Now(), events: make(chan event, 64),
		sys: system{process.Linux{}, interpreter, time.Now}, reloads: reloads{recovery: newRecovery()}}
	m.life.startCtx, m.life.giveUp = context.WithCancel(context.Background())
	defer m.life.giveUp()
	m.gateways = newGateways(m)
	m.routers = newRouters(m)
	m.tracer = newTracer(m)
	m.announcer.Logf = logf
	m.triggers.notifySocket.option, m.triggers.subscriptionNotify.option = "notify-socket", "subscription-notify-socket"
	m.commands = newCommands(cfg.Binsh...)
	defer m.commands.close()
	m.logs.alarms, m.logs.commands = newAlarms(m.commands, m.events), m.commands
	m.logs.alarms.reconfigure(cfg)
	m.hooks = m.newHooks()
	m.newDaemons()
	m.triggers.remapped = map[os.Signal]string{}
	status, err := m.run()
	if err != nil {
		logf("%v", err)
	}
	sockets.CloseUnused(m.sockets, nil) // a start that has failed leaves no file of them
	m.logs.alarms.close()
	m.logs.close()
	return status
}

func (m *master) run() (int, error) {
	var err error
	if m.upgrader, err = newUpgrader(); err != nil {
		return statusFailed, err
	}
	if m.owned.resources, err = resources.Open(m.upgrader.inherited.Take); err != nil {
		return statusFailed, err
	}
	m.owned.kept = resources.NewKept(m.upgrader.inherited.Take)
	m.routers.inherit()
	m.queues = &signalQueues{m.owned.kept, m.cfg.SignalBufsize}
	m.router = signaling.NewRouter(m.queues)
	if err := m.openMetrics(); err != nil {
		return statusFailed, err
	}
	if err := m.openTallies(); err != nil {
		return statusFailed, err
	}
	if err := m.inheritHistory(); err != nil {
		return statusFailed, err
	}
	m.logs.second = m.upgrader.second
	if err := m.logs.open(m.cfg); err != nil {
		return statusFailed, err
	}
	for _, notice := range m.cfg.Notices {
		logf("%s", notice)
	}
	if m.cfg.ShowConfig {
		if err := m.cfg.WriteShowConfig(logWriter()); err != nil {
			return statusFailed, fmt.Errorf("show-config: %w", err)
		}
	}
	listKinds(m.cfg)
	banner(m.cfg, m.started)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return statusFailed, fmt.Errorf("prctl(PR_SET_CHILD_SUBREAPER): %w", err)
	}
	if m.owned.alive, m.owned.keep, err = os.Pipe(); err != nil {
		return statusFailed, fmt.Errorf("pipe: %w", err)
	}
	stopSignals := m.notifySignals()
	defer stopSignals()
	m.vassal = m.newVassal()
	m.begin()
	ticker := newPace()
	defer ticker.Stop()
	for !m.finished() {
		select {
		case e := <-m.events:
			e(m)
		case now := <-ticker.C:
			m.sweep(now)
			ticker.fired(now)
		}
		m.dismissCompanions()
		ticker.follow(m)
	}
	return m.end(), nil
}

// finished: nothing runs any more, and nothing is to be started.
func (m *master) finished() bool {
	return m.served() && !m.life.starting && !m.upgrader.busy && m.gateways.gone() && m.routers.gone() && m.tracer.gone() && m.jobs.daemons.Gone() && !m.signalsLeft()
}

// served: no generation is left, and none is to be started.
func (m *master) served() bool {
	return (m.life.stopping || m.life.upgraded) && m.current == nil && m.next == nil && len(m.old) == 0
}

// dismissCompanions lets the gateways go after the last worker that could use one, and the tracer after the last span.
func (m *master) dismissCompanions() {
	if m.served() {
		m.gateways.stop()
		m.tracer.dismiss()
	}
}

func (m *master) end() int {
	m.stats.Close()
	m.prometheus.Close()
	m.statusPage.close()
	m.snmp.Close()
	m.stopWatching()
	m.triggers.fdReload.close()
	m.triggers.fdAlarm.close()
	m.triggers.fsReload.stop()
	m.triggers.notifySocket.close()
	m.triggers.subscriptionNotify.close()
	m.triggers.zerg.close()
	m.triggers.fifo.close()
	m.upgrader.stop()
	if m.life.upgraded {
		return statusOK
	}
	if m.metrics != nil && !m.cfg.NoServer {
		m.metrics.Save()
	}
	m.triggers.notifySocket.remove()
	m.triggers.subscriptionNotify.remove()
	m.triggers.zerg.remove()
	if m.life.status == statusOK && m.number > 0 { // an application was started
		m.atExit(m.cfg, m.hooks)
		m.finishAtExit()
	}
	if m.cfg.Vacuum {
		m.vacuum()
	}
	if m.life.status == statusOK {
		logf("goodbye to uWSGI.")
	}
	return m.life.status
}

// post hands an event to the owner of the state.
func (m *master) post(e event) { m.events <- e }

// beside does slow work on a goroutine of its own, and then what it returns on the loop.
// At the end of the master it is waited for; work has to leave when m.commands.ctx ends.
func (m *master) beside(work func() event) {
	beside(m.commands.ctx, &m.commands.running, m.events, work)
}

// beside does slow work on a goroutine of the group, and then what it returns on the loop, unless ctx has ended.
func beside(ctx context.Context, group *sync.WaitGroup, events chan<- event, work func() event) {
	group.Go(func() {
		then := work()
		select {
		case events <- then:
		case <-ctx.Done():
		}
	})
}

// after has an event happen later.
func (m *master) after(wait time.Duration, e event) {
	if wait <= 0 {
		e(m)
		return
	}
	time.AfterFunc(wait, func() { m.post(e) })
}

// sweep looks at what only the clock tells.
func (m *master) sweep(now time.Time) {
	if m.life.starting {
		return
	}
	for _, g := range m.generations() {
		g.enforce(now)
	}
	m.giveUpLate(now)
	m.vassal.beat(m.cfg.Heartbeat, now)
	m.flushSignals()
	m.announce()
	m.jobs.daemons.Enforce(now)
	if now.Sub(m.lastSweep) < time.Second-tick/2 { // tickers are not exact
		return
	}
	m.lastSweep = now
	if m.current != nil {
		m.triggers.touched.poll(m)
		m.watchCertificates()
		m.checkMountpoints()
	}
	if m.current != nil {
		m.jobs.smart.Poll(now)
		m.collectMetrics(now)
		m.pushers.Poll(statsHost{m}, now)
	}
	if m.current != nil {
		m.runCrons(now)
		m.current.runSignalCrons(now)
	}
	m.statusPage.poll(m, now)
	m.logs.alarms.watchQueues(m.sockets, m.cfg.AlarmBacklog)
	m.advanceChain()
	if !m.upgrader.busy && !m.life.upgraded {
		m.triggers.fifo.restore(m)
	}
	if m.current != nil {
		m.current.retireOld(now)
		m.current.reloadEvilly(now)
		if !m.pausing.paused {
			m.current.adjust(now)
		}
		m.checkIdleness(now)
	}
	m.syncStores(now)
	m.owned.locks.retry()
	m.forgetGone()
	m.strangers.reap(m.knows)
}

func (m *master) generations() []*generation {
	all := append([]*generation(nil), m.old...)
	for _, g := range []*generation{m.current, m.next} {
		if g != nil {
			all = append(all, g)
		}
	}
	return all
}

// knows tells whether somebody waits for the process already.
func (m *master) knows(pid int) bool {
	if m.commands.has(pid) { // hooks, daemons
		return true
	}
	for _, g := range m.generations() {
		if g.has(pid) {
			return true
		}
	}
	return false
}
