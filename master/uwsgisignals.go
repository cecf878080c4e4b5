package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/master/signaling"
	"envoxyd/uwsgiopts"
)

// signals are the uwsgi signals of one generation: who handles which, and what raises them.
type signals struct {
	targets  signaling.Targets
	schedule signaling.Schedule
	crons    []*signalCron
	early    []byte // raised while the generation before it serves, which knows nothing of them
	ordered  map[workerOrder][]int
}

// workerOrder is a timer, cron entry or file monitor that a worker has asked for; in signals.ordered with the processes that have.
type workerOrder struct {
	worker int
	kind   string
	order  workerspec.SignalOrder
}

// again tells whether the order is one of a process before in the worker's place, whose successor gives it again, as in a
// post-fork hook. What it has set going goes on, and is not doubled.
func (s *signals) again(r process.Report) bool {
	if r.Worker == 0 || r.Signal.Iterations > 0 {
		return false
	}
	key := workerOrder{r.Worker, r.Kind, *r.Signal}
	for i, pid := range s.ordered[key] {
		if pid != r.Sender {
			s.ordered[key][i] = r.Sender
			return true
		}
	}
	if s.ordered == nil {
		s.ordered = map[workerOrder][]int{}
	}
	s.ordered[key] = append(s.ordered[key], r.Sender)
	return false
}

// signalCron raises a signal by the clock.
type signalCron struct {
	cronJob
	signal byte
}

// signalQueues are the queues of signals, which outlive every generation.
type signalQueues struct {
	kept *resources.Kept
	room int
}

func (q *signalQueues) pipe(queue string) (out, in *os.File, err error) {
	return q.kept.Pipe("signals of "+queue, q.room)
}

// Send puts a signal into a queue.
func (q *signalQueues) Send(queue string, signal byte) error {
	_, in, err := q.pipe(queue)
	if err != nil {
		return err
	}
	switch err := unix.Sendmsg(int(in.Fd()), []byte{signal}, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); {
	case errors.Is(err, unix.EAGAIN):
		return signaling.ErrFull
	case err != nil:
		return os.NewSyscallError("sendmsg", err)
	}
	return nil
}

// signalReport acts on what a process wants of signals; false: it is about something else.
func (g *generation) signalReport(r process.Report) bool {
	if r.Signal == nil {
		return false
	}
	s := r.Signal
	if s.Number < 0 || s.Number >= signaling.Numbers {
		return true
	}
	number := byte(s.Number)
	var err error
	switch r.Kind {
	case workerspec.EventTimer, workerspec.EventMonitor, workerspec.EventCron:
		if g.signals.again(r) {
			return true
		}
	}
	switch r.Kind {
	case workerspec.EventRaise:
		if g == g.m.next && (g.m.current != nil || g.m.upgrader.second) {
			g.signals.early = append(g.signals.early, number)
			break
		}
		g.m.raise(number)
	case workerspec.EventRegisterSignal:
		g.signals.targets[number] = s.Target
	case workerspec.EventTimer:
		err = g.signals.schedule.AddTimer(number, time.Duration(s.Millis)*time.Millisecond, s.Iterations)
	case workerspec.EventMonitor:
		err = g.signals.schedule.AddFile(number, s.Path)
	case workerspec.EventCron:
		if len(g.signals.crons) < signaling.Most {
			g.signals.crons = append(g.signals.crons, &signalCron{cronJob{Cron: uwsgiopts.Cron{When: s.When}, pid: -1}, number})
		}
	}
	if err != nil {
		logf("signal %d: %v", number, err)
	}
	return true
}

// raise passes a uwsgi signal on to those that handle it.
func (m *master) raise(number byte) { m.route(number, m.router.Route) }

// tick is raise for signals that come by the clock, or from files that change. They do not pile up where nobody has time.
func (m *master) tick(number byte) { m.route(number, m.router.Tick) }

func (m *master) route(number byte, route func(byte, string, signaling.Fleet) error) {
	g := m.signalled()
	if g == nil {
		return
	}
	target := g.signals.targets[number]
	if err := route(number, target, g.fleet()); err != nil {
		text := fmt.Sprintf("*** SIGNAL QUEUE IS FULL: %v (you can tune it with --signal-bufsize) ***", err)
		if errors.Is(err, signaling.ErrUnsupported) {
			text = fmt.Sprintf("*** UNSUPPORTED SIGNAL TARGET: %s ***", target)
		}
		m.tellLoss(text)
	}
	m.flushSignals()
}

// tellLoss logs why a signal is lost; the same, once a second: whoever raises too many does so for long.
func (m *master) tellLoss(text string) {
	now := m.sys.now()
	if text == m.lossTold.text && now.Sub(m.lossTold.at) < time.Second {
		return
	}
	m.lossTold.text, m.lossTold.at = text, now
	logf("%s (%d lost so far)", text, m.router.Lost)
}

// signalled is the generation whose registrations count; nil: there is none.
func (m *master) signalled() *generation {
	switch {
	case m.current != nil:
		return m.current
	case m.next != nil:
		return m.next
	case m.life.upgraded && len(m.old) > 0: // what its last workers raise is for those of the next master, which have the same queues
		return m.old[len(m.old)-1]
	}
	return nil
}

// flushPause is how soon it is tried again to pass on what waits for room, as long as that goes on.
const flushPause = 2 * time.Millisecond

// flushSignals passes on what has been waiting for room. While somebody makes room, this goes on; else the next tick tries again.
func (m *master) flushSignals() {
	if m.flushing || m.router.Waiting() == 0 {
		return
	}
	m.flushing = true
	m.flushOn()
}

func (m *master) flushOn() {
	before := m.router.Waiting()
	if err := m.router.Flush(); err != nil {
		logf("%v", err)
	}
	if left := m.router.Waiting(); left > 0 && left < before {
		m.after(flushPause, (*master).flushOn)
		return
	}
	m.flushing = false
}

// signalsLeft tells whether signals still wait for room in the queues of the master that has taken over.
func (m *master) signalsLeft() bool {
	n := m.router.Waiting()
	if n == 0 || !m.life.upgraded {
		return false
	}
	if m.sys.now().Before(m.life.signalsUntil) {
		return true
	}
	logf("%d signals are lost: nobody has made room for them", n)
	return false
}

// fleet is who there is to be signalled.
func (g *generation) fleet() signaling.Fleet {
	fleet := signaling.Fleet{
		Workers: len(g.workers), Mules: len(g.cfg.Mules),
		Active: func(n int) bool { return !g.workers[n-1].cheap && !g.m.pausing.paused },
	}
	for _, farm := range g.cfg.Farms {
		fleet.Farms = append(fleet.Farms, farm.Name)
	}
	for _, a := range g.auxiliaries {
		fleet.Spooler = fleet.Spooler || a.Kind == workerspec.RoleSpooler
	}
	return fleet
}

// earlyTime is how long what was raised during the start waits, once the generation serves: the one before it, maybe another
// master's, has to have heard that it is to leave signals alone.
const earlyTime = 500 * time.Millisecond

// startSignals begins with what was raised during the start, with timers and file monitors; the generation serves now.
func (g *generation) startSignals() {
	g.m.after(earlyTime, func(*master) { g.raiseEarly() })
	for _, t := range g.cfg.SignalTimers {
		if err := g.signals.schedule.AddTimer(t.Signal, t.Every, 0); err != nil {
			logf("timer: %v", err)
		}
	}
	for _, f := range g.cfg.FSSignal {
		if err := g.signals.schedule.AddFile(signalNumber(f[1]), f[0]); err != nil {
			logf("fs-signal: %v", err)
		}
	}
	err := g.signals.schedule.Start(func(signal byte, stopped <-chan struct{}) {
		select {
		case g.m.events <- func(m *master) { m.tick(signal) }:
		case <-stopped:
		}
	})
	if err != nil {
		logf("file monitor: %v", err)
	}
}

// raiseEarly raises what was raised during the start. A generation that is let go of before its earlyTime is over does so at
// once: its master may end before that.
func (g *generation) raiseEarly() {
	for _, number := range g.signals.early {
		g.m.raise(number)
	}
	g.signals.early = nil
}

// signalNumber is the number of a checked option.
func signalNumber(text string) byte {
	n, _ := strconv.ParseUint(text, 10, 8)
	return byte(n)
}

// runSignalCrons raises what is due by the clock.
func (g *generation) runSignalCrons(now time.Time) {
	for _, job := range g.signals.crons {
		if job.take(now) {
			g.m.tick(job.signal)
		}
	}
}
