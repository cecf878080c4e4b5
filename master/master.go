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
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/master/daemons"
	"envoxyd/master/hooks"
	"envoxyd/master/logging"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// Exit statuses of the whole; uWSGI's own.
const (
	statusOK       = 0
	statusFailed   = 1
	statusNoApp    = 22
	statusNoEnvoxy = 246 // upstream envoxyd's, for a conf that cannot be used
)

// tick is how often deadlines and watched files are looked at.
const tick = 250 * time.Millisecond

// Reread reads the configuration again, as it was read at the start.
type Reread func() (*uwsgiopts.Config, error)

// master is the state of one run.
type master struct {
	cfg     *uwsgiopts.Config
	reread  Reread
	started time.Time

	events  chan event
	sockets []*sockets.Socket
	alive   *os.File // its writer is ours alone: workers see when we are gone
	keep    *os.File

	current *generation   // serving
	next    *generation   // loading, to take over
	old     []*generation // on their way out
	number  int           // of the newest generation

	gateway      *gateway
	upgrader     *upgrader
	watchdog     *watchdog
	touched      touched
	fifo         fifo
	paused       bool
	fdReload     fdReloadWatchers
	locks        fileLocks
	resources    *resources.Resources
	pushers      pushers
	notifySocket notifySocket
	pauses       int // how often that has changed
	chain        *chain
	daemons      *daemons.Attached
	smart        *daemons.Smart
	crons        crons
	commands     *commands
	log          *logging.Log // nil: every process writes for itself
	logOpen      bool         // its loggers are open
	alarms       *alarms
	hooks        *hooks.Runner
	exitHooks    exitHooks
	remapped     map[os.Signal]string
	stats        []*statsServer
	connections  *readableWatch // while the serving generation is asleep; else nil
	brutal       bool           // the reload in hand does not wait for requests
	pending      pendingRequests
	recovery     recovery
	os           process.OS
	launch       launch
	now          func() time.Time // the clock
	strangers    strangers
	preparing    bool            // a reload is being prepared beside the loop
	starting     bool            // so is the start
	startCtx     context.Context // ends when the start is given up
	giveUp       context.CancelFunc

	stopping  bool
	stopped   lastStop
	upgraded  bool // another master has taken over
	status    int
	pidfiles  pidfiles
	lastSweep time.Time
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
		os: process.Linux{}, launch: interpreter, now: time.Now, recovery: newRecovery()}
	m.startCtx, m.giveUp = context.WithCancel(context.Background())
	defer m.giveUp()
	m.gateway = newGateway(m)
	m.commands = newCommands()
	defer m.commands.close()
	m.alarms = newAlarms(m.commands)
	m.alarms.reconfigure(cfg)
	m.hooks = m.newHooks()
	m.newDaemons()
	m.remapped = map[os.Signal]string{}
	status, err := m.run()
	if err != nil {
		logf("%v", err)
	}
	sockets.CloseUnused(m.sockets, nil) // a start that has failed leaves no file of them
	m.alarms.close()
	m.closeLog()
	return status
}

func (m *master) run() (int, error) {
	var err error
	if m.upgrader, err = newUpgrader(); err != nil {
		return statusFailed, err
	}
	if m.resources, err = resources.Open(m.upgrader.inherited.Take); err != nil {
		return statusFailed, err
	}
	if err := m.openLog(); err != nil {
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
	m.listKinds()
	m.banner()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return statusFailed, fmt.Errorf("prctl(PR_SET_CHILD_SUBREAPER): %w", err)
	}
	if m.alive, m.keep, err = os.Pipe(); err != nil {
		return statusFailed, fmt.Errorf("pipe: %w", err)
	}
	stopSignals := m.notifySignals()
	defer stopSignals()
	m.begin()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !m.finished() {
		select {
		case e := <-m.events:
			e(m)
		case now := <-ticker.C:
			m.sweep(now)
		}
		m.dismissGateway()
	}
	return m.end(), nil
}

// finished: nothing runs any more, and nothing is to be started.
func (m *master) finished() bool {
	return m.served() && !m.starting && m.gateway.gone() && m.daemons.Gone()
}

// served: no generation is left, and none is to be started.
func (m *master) served() bool {
	return (m.stopping || m.upgraded) && m.current == nil && m.next == nil && len(m.old) == 0
}

// dismissGateway lets the gateway go after the last worker that could use it.
func (m *master) dismissGateway() {
	if m.served() {
		m.gateway.stop()
	}
}

func (m *master) end() int {
	m.stopStats()
	m.stopWatching()
	m.fdReload.close()
	m.notifySocket.close()
	m.fifo.close()
	m.upgrader.stop()
	if m.upgraded {
		return statusOK
	}
	m.notifySocket.remove()
	if m.status == statusOK {
		m.atExit(m.cfg, m.hooks)
		m.finishAtExit()
	}
	if m.cfg.Vacuum {
		m.vacuum()
	}
	if m.status == statusOK {
		logf("goodbye to uWSGI.")
	}
	return m.status
}

// post hands an event to the owner of the state.
func (m *master) post(e event) { m.events <- e }

// beside does slow work on a goroutine of its own, and then what it returns on the loop.
// At the end of the master it is waited for; work has to leave when m.commands.ctx ends.
func (m *master) beside(work func() event) {
	m.commands.running.Go(func() {
		then := work()
		select {
		case m.events <- then:
		case <-m.commands.ctx.Done():
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
	if m.starting {
		return
	}
	for _, g := range m.generations() {
		g.enforce(now)
	}
	m.daemons.Enforce(now)
	if now.Sub(m.lastSweep) < time.Second {
		return
	}
	m.lastSweep = now
	if m.current != nil {
		m.touched.poll(m)
	}
	if m.current != nil {
		m.smart.Poll(now)
		m.pushers.look(m, now)
	}
	if m.current != nil {
		m.runCrons(now)
	}
	m.watchQueues()
	m.advanceChain()
	if !m.upgrader.busy && !m.upgraded {
		m.fifo.restore(m)
	}
	if m.current != nil {
		m.current.retireOld(now)
		m.current.reloadEvilly(now)
		if !m.paused {
			m.current.adjust(now)
		}
		m.checkIdleness(now)
	}
	m.locks.retry()
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
