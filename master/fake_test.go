package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/master/signaling"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// fakeOS is an operating system whose processes exist by number alone.
type fakeOS struct {
	children map[int]*fakeProcess
	nextPID  int
	orphans  []*fakeProcess // that a zygote has left
}

// fakeProcess ends by exit, or by a signal.
type fakeProcess struct {
	pid  int
	sent []syscall.Signal
	end  chan process.Exit // holds one
	gone bool
	obey bool // SIGTERM ends it

	released bool
}

func (f *fakeProcess) PID() int { return f.pid }

func (f *fakeProcess) Signal(s syscall.Signal) error {
	f.sent = append(f.sent, s)
	if s == syscall.SIGKILL || s == syscall.SIGTERM && f.obey {
		f.exit(process.Exit{Signal: s})
	}
	return nil
}

func (f *fakeProcess) Release() { f.released = true }

func (f *fakeProcess) Wait() (process.Exit, error) { return <-f.end, nil }

func (f *fakeProcess) exit(e process.Exit) {
	if !f.gone {
		f.gone = true
		f.end <- e
	}
}

func (o *fakeOS) start() *fakeProcess {
	o.nextPID++
	p := &fakeProcess{pid: o.nextPID, end: make(chan process.Exit, 1)}
	o.children[p.pid] = p
	return p
}

func (o *fakeOS) Adopt(pid int) (process.Process, error) {
	if p := o.children[pid]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%d: %w", pid, process.ErrNotOurs)
}

func (o *fakeOS) Orphans(_ process.Import, known func(pid int) bool) (found []process.Process) {
	for _, p := range o.orphans {
		if !p.gone && !known(p.pid) {
			found = append(found, p)
		}
	}
	return found
}

// fakeOrders keeps what the zygote was told. The zygote ends when no more orders come.
type fakeOrders struct {
	zygote *fakeProcess
	sent   []workerspec.Command
	ended  bool
	fail   error
}

func (f *fakeOrders) Send(c workerspec.Command) error {
	if f.fail != nil {
		return f.fail
	}
	f.sent = append(f.sent, c)
	return nil
}

func (f *fakeOrders) End() error {
	f.ended = true
	f.zygote.exit(process.Exit{})
	return nil
}

// fakeFlip upgrades nothing.
type fakeFlip struct{}

func (fakeFlip) AddFile(string, *os.File) error      { return nil }
func (fakeFlip) Upgrade() error                      { return errTest }
func (fakeFlip) Ready() error                        { return nil }
func (fakeFlip) Stop()                               {}
func (fakeFlip) WaitForParent(context.Context) error { return nil }

// testMaster is a master whose loop the test turns itself, and whose processes are fake.
type testMaster struct {
	*master
	t       *testing.T
	os      *fakeOS
	orders  map[*generation]*fakeOrders
	failing error // what starting a zygote fails with
	reading error // what reading the configuration fails with
	next    *uwsgiopts.Config
}

func newTestMaster(t *testing.T, processes int) *testMaster {
	t.Helper()
	cfg := &uwsgiopts.Config{Processes: processes, Threads: 1, StartDir: t.TempDir(), Sockets: []uwsgiopts.Socket{{Protocol: "http", Address: "127.0.0.1:0"}}}
	tm := &testMaster{t: t, os: &fakeOS{children: map[int]*fakeProcess{}, nextPID: 1 << 22}, orders: map[*generation]*fakeOrders{}, next: cfg}
	m := &master{cfg: cfg, events: make(chan event, 64), commands: newCommands(), upgrader: &upgrader{flip: fakeFlip{}},
		sys: system{os: tm.os, now: time.Now}, reloads: reloads{recovery: newRecovery()}}
	t.Cleanup(m.commands.close)
	m.owned.kept = resources.NewKept(func(string) int { return -1 })
	t.Cleanup(func() { m.owned.kept.Close() })
	m.queues = &signalQueues{kept: m.owned.kept}
	m.router = signaling.NewRouter(m.queues)
	m.reread = func() (*uwsgiopts.Config, error) { return tm.next, tm.reading }
	m.sys.launch = func(g *generation) (process.Process, *link, error) {
		if tm.failing != nil {
			return nil, nil, tm.failing
		}
		zygote := tm.os.start()
		zygote.obey = true
		orders := &fakeOrders{zygote: zygote}
		tm.orders[g] = orders
		return zygote, &link{orders: orders}, nil
	}
	m.gateways = newGateways(m)
	m.routers = newRouters(m)
	m.tracer = newTracer(m)
	m.announcer.Logf = logf
	m.logs.alarms, m.logs.commands = newAlarms(m.commands, m.events), m.commands
	t.Cleanup(m.logs.alarms.close)
	m.hooks = m.newHooks()
	m.newDaemons()
	tm.master = m
	t.Cleanup(func() {
		for _, g := range append(m.old, m.current, m.next) {
			if g != nil {
				g.close()
			}
		}
	})
	return tm
}

// turn carries out events until the condition holds.
func (tm *testMaster) turn(what string, until func() bool) {
	tm.t.Helper()
	deadline := time.After(20 * time.Second)
	for !until() {
		select {
		case e := <-tm.events:
			e(tm.master)
		case <-time.After(tick):
			tm.forgetGone() // what else the tick does is for each test to call
		case <-deadline:
			tm.t.Fatalf("%s: did not happen", what)
		}
	}
}

// start brings the first generation up.
func (tm *testMaster) start() *generation {
	tm.t.Helper()
	if err := tm.startUp(); err != nil {
		tm.t.Fatal(err)
	}
	g := tm.master.next
	tm.comeUp(g)
	if tm.current != g {
		tm.t.Fatal("the first generation does not serve")
	}
	return g
}

// startUp has the first generation load.
func (tm *testMaster) startUp() (err error) {
	if tm.sockets, err = tm.openSockets(tm.cfg); err != nil {
		return err
	}
	tm.t.Cleanup(func() { sockets.CloseUnused(tm.master.sockets, nil) })
	return tm.startNext(&preparation{cfg: tm.cfg, hooks: tm.hooks, sockets: tm.sockets})
}

// comeUp has a generation's zygote load, and carry out its orders.
func (tm *testMaster) comeUp(g *generation) {
	tm.t.Helper()
	tm.say(g, workerspec.Event{Kind: "loaded"})
	for _, w := range g.workers {
		if _, ordered := w.OrderInHand(); ordered {
			tm.fork(g, w)
		}
	}
}

// say has the zygote report.
func (tm *testMaster) say(g *generation, e workerspec.Event) {
	g.zygoteReport(process.Report{Event: e, Sender: g.zygote.Process().PID()})
}

// fork carries out the order for a place, and the process is ready.
func (tm *testMaster) fork(g *generation, w *worker) *fakeProcess {
	tm.t.Helper()
	p := tm.begin(g, w)
	tm.tell(g, w, p, "ready")
	return p
}

// begin carries out the order for a place.
func (tm *testMaster) begin(g *generation, w *worker) *fakeProcess {
	tm.t.Helper()
	s := w.awaiting()
	if s == nil {
		tm.t.Fatalf("%v is %v, nobody ordered a process", &w.Place, w.State())
	}
	number, _ := s.OrderInHand()
	p := tm.os.start()
	tm.say(g, workerspec.Event{Kind: "forked", ID: number, Worker: w.ID, PID: p.pid})
	return p
}

// tell has a worker's process report.
func (tm *testMaster) tell(g *generation, w *worker, p *fakeProcess, kind string) {
	g.workerReport(process.Report{Event: workerspec.Event{Kind: kind, Worker: w.ID}, Sender: p.pid})
}

// processOf is the fake process in a place.
func (tm *testMaster) processOf(w *worker) *fakeProcess {
	tm.t.Helper()
	p := tm.os.children[w.PID()]
	if p == nil {
		tm.t.Fatalf("worker %d has no process", w.ID)
	}
	return p
}

func (tm *testMaster) zygoteOf(g *generation) *fakeProcess {
	return tm.os.children[g.zygote.Process().PID()]
}

var errTest = errors.New("made up")

func received(p *fakeProcess, s syscall.Signal) bool { return slices.Contains(p.sent, s) }

// occupy brings a place into a state with a process of the given number.
func occupy(w *worker, state process.State, pid int) *fakeProcess {
	p := &fakeProcess{pid: pid, end: make(chan process.Exit, 1)}
	w.Order(1, time.Now().Add(time.Hour))
	w.Adopt(p, time.Now())
	if state != process.Starting {
		w.MarkReady(pid)
	}
	if state == process.Leaving {
		w.Leave(time.Time{})
	}
	return p
}
