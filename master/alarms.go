package master

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// alarms are what --alarm has defined. They are raised from any goroutine and never waited for.
type alarms struct {
	commands *commands
	events   chan<- event    // of the master: uwsgi signals and messages to mules are its business
	ctx      context.Context // of commands of alarms
	cancel   context.CancelFunc

	mu     sync.Mutex
	all    map[string]*alarm
	freq   time.Duration
	size   int
	closed bool
	busy   sync.WaitGroup
}

// alarm is one of them.
type alarm struct {
	kind, argument, dir string
	recent              map[string]time.Time // messages, and when they were raised
	waiting             [][]byte             // messages, while a command runs
	running             bool
}

// Of one alarm this many messages wait for its command; at the end they have this long.
const (
	alarmQueue   = 64
	alarmRecent  = 1000 // messages that are remembered
	lastAlarms   = 3 * time.Second
	alarmCommand = time.Minute
)

func newAlarms(c *commands, events chan<- event) *alarms {
	a := &alarms{commands: c, events: events}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// reconfigure takes the alarms of cfg; what is on its way stays so, and what one that stays has just said is not said again.
func (a *alarms) reconfigure(cfg *uwsgiopts.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.all
	a.all = map[string]*alarm{}
	a.freq, a.size = time.Duration(cfg.AlarmFreq)*time.Second, cfg.AlarmMsgSize
	for _, given := range cfg.Alarms {
		kind, argument, _ := strings.Cut(given[1], ":")
		one := &alarm{kind: kind, argument: argument, dir: workDir(cfg), recent: map[string]time.Time{}}
		if old := before[given[0]]; old != nil && old.kind == kind && old.argument == argument && old.dir == one.dir {
			one = old
		}
		a.all[given[0]] = one
	}
}

// raise raises the alarm of that name, if there is one, unless it has just said the same.
func (a *alarms) raise(name string, message []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.all[name]
	if one == nil || a.closed {
		return
	}
	if a.size > 0 && len(message) > a.size {
		message = message[:a.size]
	}
	now := time.Now()
	if len(one.recent) > alarmRecent {
		clear(one.recent)
	}
	maps.DeleteFunc(one.recent, func(_ string, when time.Time) bool { return now.Sub(when) >= a.freq })
	if _, said := one.recent[string(message)]; said {
		return
	}
	one.recent[string(message)] = now
	if len(one.waiting) == alarmQueue {
		a.say("*** alarm %s: a message is lost, %q does not take them in time ***", name, one.argument)
		return
	}
	one.waiting = append(one.waiting, bytes.Clone(message))
	if !one.running {
		one.running = true
		a.busy.Go(func() { a.deliver(name, one) })
	}
}

// deliver works off the messages of one alarm.
func (a *alarms) deliver(name string, one *alarm) {
	for {
		a.mu.Lock()
		if len(one.waiting) == 0 || a.ctx.Err() != nil {
			one.running = false
			a.mu.Unlock()
			return
		}
		message := one.waiting[0]
		one.waiting = one.waiting[1:]
		a.mu.Unlock()
		if err := a.act(one, message); err != nil {
			a.say("alarm %s: %v", name, err)
		}
	}
}

// act does with a message what the alarm is for.
func (a *alarms) act(one *alarm, message []byte) error {
	switch one.kind {
	case "log":
		a.say("ALARM: %s", bytes.TrimSuffix(message, []byte("\n")))
	case "signal":
		a.post(func(m *master) { m.raise(signalNumber(one.argument)) })
	case "mule":
		a.post(func(m *master) {
			if err := m.messageMule(one.argument, message); err != nil {
				a.say("alarm: mule %s: %v", one.argument, err)
			}
		})
	default:
		return a.run(one, message)
	}
	return nil
}

// post hands an event to the master, unless that is ending.
func (a *alarms) post(e event) {
	select {
	case a.events <- e:
	case <-a.ctx.Done():
	}
}

func (a *alarms) run(one *alarm, message []byte) error {
	ctx, cancel := context.WithTimeout(a.ctx, alarmCommand)
	defer cancel()
	cmd := a.commands.shell(ctx, one.argument, one.dir)
	cmd.Stdin = bytes.NewReader(message)
	cmd.WaitDelay = lastAlarms // a command that does not read is not waited for
	err := a.commands.start(cmd)
	if err == nil {
		err = a.commands.wait(cmd)
	}
	if err != nil {
		return fmt.Errorf("command %q: %w", one.argument, err)
	}
	return nil
}

// say logs without raising alarms.
func (a *alarms) say(format string, args ...any) {
	line := fmt.Appendf(nil, dated(format)+"\n", args...)
	if log := through.Load(); log != nil {
		log.Quiet(line)
		return
	}
	_, _ = direct.Write(line) // it does not fail
}

// close waits a moment for what has been raised.
func (a *alarms) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	timeout := time.AfterFunc(lastAlarms, a.cancel)
	a.busy.Wait()
	timeout.Stop()
	a.cancel()
}

// segfault raises the alarms of that name for a worker that died of a segmentation fault.
func (a *alarms) segfault(names []string, id, pid int) {
	for _, name := range names {
		a.raise(name, fmt.Appendf(nil, "uWSGI worker %d (pid: %d) died of a segmentation fault", id, pid))
	}
}

// watchQueues tells of listening sockets whose queue is full, or has been since the last call, in the log and by the
// alarms of that name.
func (a *alarms) watchQueues(list []*sockets.Socket, names []string) {
	for _, s := range list {
		queue, limit := s.Queue()
		if limit == 0 || s.Protocol == sockets.Shared {
			continue
		}
		if s.Overflowed() {
			queue = max(queue, limit+1) // the kernel lets one more in than the limit says
		} else if queue < limit {
			continue
		}
		text := fmt.Sprintf("*** uWSGI listen queue of socket %q (fd: %d) full !!! (%d/%d) ***", s.Name, s.FD, queue, limit)
		logDated("%s", text)
		for _, name := range names {
			a.raise(name, []byte(text))
		}
	}
}

// listKinds answers --logger-list and --alarm-list.
func listKinds(cfg *uwsgiopts.Config) {
	list := func(what string, names []string) {
		logf("*** uWSGI loaded %s ***\n%s\n--- end of %s list ---", what, strings.Join(names, "\n"), what)
	}
	if cfg.ListLoggers {
		list("loggers", uwsgiopts.LoggerKinds)
	}
	if cfg.ListAlarms {
		list("alarms", uwsgiopts.AlarmKinds)
	}
}
