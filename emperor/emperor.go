// Package emperor runs an instance, a vassal, for each configuration that it finds in directories and the like: it starts
// them, has them reload when their file changes, ends them when it has gone, and starts the broken again with growing waits.
//
// One goroutine owns all state; ends of processes, words of vassals, changes of files and signals reach it as events.
package emperor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/paths"
	"envoxyd/master/hooks"
	"envoxyd/uwsgiopts"
)

// event is something that has happened; it runs on the goroutine that owns the state.
type event func(e *Emperor)

// Emperor is the state of one run.
type Emperor struct {
	cfg      *uwsgiopts.EmperorConfig
	version  string
	self     string // the executable that instances are started with
	log      func(format string, args ...any)
	sources  []source
	vassals  map[string]*vassal
	order    []string // of the vassals
	events   chan event
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	ending   bool
	told     map[string]bool
	started  bool // its own hooks have run
	status   int  // what it ends with
	hooks    int  // that run
	settings hooks.Settings
	shell    string          // of commands
	patient  context.Context // of hooks; ends when the emperor is told to end a second time
	hurry    context.CancelFunc
	watcher  *fsnotify.Watcher // nil: there is none here
	// superior is the way to the emperor whose vassal this one is; nil: it is nobody's.
	superior *os.File
	reap     func(known func(pid int) bool)
	governed int // instances that systemd was told of
}

// Run rules until a signal ends it, and returns the exit status. reap waits for ended processes that were left to this one, as
// to process 1 of a container, but for those that are known.
func Run(cfg *uwsgiopts.Config, log func(format string, args ...any), reap func(known func(pid int) bool)) int {
	e, err := newEmperor(cfg, log)
	if err != nil {
		log("%v", err)
		return 1
	}
	e.reap = reap
	return e.run()
}

func newEmperor(cfg *uwsgiopts.Config, log func(format string, args ...any)) (*Emperor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("emperor: %w", err)
	}
	e := &Emperor{cfg: &cfg.EmperorConfig, version: uwsgiopts.Version, self: self, log: log, vassals: map[string]*vassal{}, events: make(chan event, 64), told: map[string]bool{}}
	e.shell, e.settings = paths.Shell(cfg.Binsh), hooks.SettingsOf(cfg, cfg.StartDir)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.patient, e.hurry = context.WithCancel(e.ctx)
	for _, text := range cfg.Emperors {
		s, err := newSource(&cfg.EmperorConfig, text)
		if err != nil {
			return nil, err
		}
		e.sources = append(e.sources, s)
	}
	return e, nil
}

func (e *Emperor) run() int {
	defer func() {
		for _, s := range e.sources {
			s.close()
		}
	}()
	defer e.running.Wait()
	defer e.cancel()
	if e.cfg.EmperorPidfile != "" {
		if err := os.WriteFile(e.cfg.EmperorPidfile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			e.log("emperor-pidfile: %v", err)
			return 1
		}
		defer os.Remove(e.cfg.EmperorPidfile)
	}
	if e.cfg.EmperorSubreaper {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			e.log("emperor-subreaper: %v", err)
		}
	}
	if err := e.serveStats(); err != nil {
		e.log("%v", err)
		return 1
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	e.obeySuperior()
	changes := e.watch()
	e.log("*** starting uWSGI Emperor ***")
	e.governed = -1 // systemd is told, be it of none
	e.runHooks(phaseStart, nil, e.begin)
	ticker := time.NewTicker(max(e.cfg.EmperorFreq, time.Second))
	defer ticker.Stop()
	for !e.ending || e.alive() > 0 || e.hooks > 0 {
		wake := e.nextDue()
		select {
		case happened := <-e.events:
			happened(e)
		case <-ticker.C:
			if e.cfg.Heartbeat > 0 {
				e.tellSuperior(emperorlink.Heartbeat)
			}
			e.reap(e.knows)
			e.scan()
		case <-changes:
			e.scan()
		case <-wake:
			e.due(time.Now())
		case s := <-signals:
			if s == syscall.SIGHUP {
				e.reloadAll()
			} else {
				e.end()
			}
		}
	}
	e.log("The Emperor is buried.")
	_, _ = daemon.SdNotify(false, "STATUS=The Emperor is buried.")
	return e.status
}

// begin starts the instances, once the emperor's own hooks have run.
func (e *Emperor) begin(err error) {
	if err != nil {
		e.log("%v", err)
		e.status = hooks.Status(err, 1)
		e.end()
		return
	}
	e.started = true
	e.scan()
	e.tellSuperior(emperorlink.Started, emperorlink.Loyal, emperorlink.Accepting)
}

// post hands an event to the owner of the state.
func (e *Emperor) post(happened event) {
	select {
	case e.events <- happened:
	case <-e.ctx.Done():
	}
}

// heard acts on a word of a vassal's.
func (e *Emperor) heard(v *vassal, cmd *exec.Cmd, word byte) {
	if v.cmd != cmd {
		return
	}
	now := time.Now()
	switch word {
	case emperorlink.Started:
		v.ready = now
		e.log("[emperor] vassal %s has been spawned", v.ID)
	case emperorlink.Loyal:
		v.loyal, v.failed = now, false
		v.backoff.Reset()
		e.log("[emperor] vassal %s is now loyal", v.ID)
	case emperorlink.Accepting:
		v.accepting = now
		e.log("[emperor] vassal %s is ready to accept requests", v.ID)
	case emperorlink.Heartbeat:
		v.heartbeat = now
	case emperorlink.AskConfig:
		e.give(v)
	case emperorlink.Idle:
		v.idle = true
		e.tellToEnd(v)
	}
}

// exited notes the end of a vassal's process and decides what follows.
func (e *Emperor) exited(v *vassal, cmd *exec.Cmd, err error) {
	if v.cmd != cmd {
		return
	}
	now := time.Now()
	pid, lived := v.pid(), now.Sub(v.lastRun)
	v.cmd = nil
	v.closeLinks()
	if v.cursed.IsZero() {
		e.log("[emperor] curse the uwsgi instance %s (pid: %d)", v.ID, pid)
	}
	e.log("[emperor] removed uwsgi instance %s", v.ID)
	e.hook(v, pid, e.cfg.VassalStop)
	if v.removed || e.ending {
		e.forget(v)
		e.notify()
		return
	}
	wait := time.Duration(0)
	if !e.cfg.EmperorNoBlacklist {
		wait = v.backoff.Ended(lived)
	}
	if v.failed = v.loyal.IsZero(); v.failed && v.cursed.IsZero() {
		e.log("[emperor] unloyal bad behaving vassal found: %s throttling it for %v... (%v)", v.ID, wait, exitText(err))
	}
	if v.Socket != "" && (v.idle || v.cursed.IsZero() && err == nil) { // it has ended by itself: until somebody connects again
		e.launch(v)
		return
	}
	v.retry = now.Add(wait)
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// curse ends an instance.
func (e *Emperor) curse(v *vassal) {
	v.waiting, v.retry = false, time.Time{}
	if v.cmd == nil {
		e.forget(v)
		return
	}
	e.tellToEnd(v)
}

// tellToEnd has an instance's process end, at the latest when the tolerance is over.
func (e *Emperor) tellToEnd(v *vassal) {
	if v.cursed.IsZero() {
		v.cursed = time.Now()
		e.log("[emperor] curse the uwsgi instance %s (pid: %d)", v.ID, v.pid())
		v.say(emperorlink.Stop)
	}
}

// forget closes what belongs to an instance that has gone.
func (e *Emperor) forget(v *vassal) {
	v.closeFiles(e.cfg)
	delete(e.vassals, v.Path)
	e.order = slices.DeleteFunc(e.order, func(path string) bool { return path == v.Path })
}

// end ends all instances, and then the emperor. A second time it does not wait for them.
func (e *Emperor) end() {
	if e.ending {
		for _, v := range e.vassals {
			v.kill()
		}
		e.hurry()
		return
	}
	e.log("[emperor] *** RAGNAROK EVOKED ***")
	e.ending = true
	for _, path := range slices.Clone(e.order) {
		e.curse(e.vassals[path])
	}
}

// knows tells whether the process is an instance's.
func (e *Emperor) knows(pid int) bool {
	for _, v := range e.vassals {
		if v.pid() == pid {
			return true
		}
	}
	return false
}

// alive is how many instances have a process.
func (e *Emperor) alive() (n int) {
	for _, v := range e.vassals {
		if v.cmd != nil {
			n++
		}
	}
	return n
}

// nextDue fires when something is due that only the clock tells; nil: nothing is.
func (e *Emperor) nextDue() <-chan time.Time {
	var first time.Time
	consider := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, v := range e.vassals {
		switch {
		case v.cmd == nil && !v.retry.IsZero():
			consider(v.retry)
		case v.cmd != nil && !v.cursed.IsZero():
			consider(v.cursed.Add(e.cfg.EmperorTolerance))
		case v.cmd != nil && e.cfg.EmperorHeartbeat > 0 && !v.heartbeat.IsZero():
			consider(v.heartbeat.Add(e.cfg.EmperorHeartbeat))
		}
	}
	if first.IsZero() {
		return nil
	}
	return time.After(max(time.Until(first), time.Millisecond))
}

// due acts on what is due.
func (e *Emperor) due(now time.Time) {
	for _, v := range e.vassals {
		switch {
		case v.cmd == nil && !v.retry.IsZero() && !now.Before(v.retry):
			v.retry = time.Time{}
			e.launch(v)
		case v.cmd != nil && !v.cursed.IsZero() && now.After(v.cursed.Add(e.cfg.EmperorTolerance)):
			e.log("[emperor] vassal %s (pid: %d) has not ended for %v: it is killed", v.ID, v.pid(), e.cfg.EmperorTolerance)
			v.kill()
			v.cursed = now
		case v.cmd != nil && e.cfg.EmperorHeartbeat > 0 && !v.heartbeat.IsZero() && now.After(v.heartbeat.Add(e.cfg.EmperorHeartbeat)):
			e.log("[emperor] vassal %s sent no heartbeat in last %d seconds, brutally respawning it...", v.ID, int(e.cfg.EmperorHeartbeat.Seconds()))
			v.kill()
			v.heartbeat = time.Time{}
		}
	}
}

// complain says what is wrong, once.
func (e *Emperor) complain(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !e.told[text] {
		e.told[text] = true
		e.log("%s", text)
	}
}

// notify tells systemd how many instances there are.
func (e *Emperor) notify() {
	e.governed = len(e.vassals)
	_, _ = daemon.SdNotify(false, strings.Join([]string{"READY=1", fmt.Sprintf("STATUS=The Emperor is governing %d vassals", len(e.vassals))}, "\n"))
}
