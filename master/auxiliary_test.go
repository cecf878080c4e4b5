package master

import (
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

// withMules is a test master whose first generation serves with mules, which are ready.
func withMules(t *testing.T, count int) (*testMaster, *generation) {
	t.Helper()
	tm := newTestMaster(t, 1)
	tm.cfg.Mules = make([]uwsgiopts.Mule, count)
	tm.cfg.MuleReloadMercy = time.Minute
	g := tm.start()
	for _, a := range g.auxiliaries {
		tm.forkMule(g, a)
	}
	return tm, g
}

// forkMule carries out the order for a mule, which is ready then.
func (tm *testMaster) forkMule(g *generation, a *auxiliary) *fakeProcess {
	tm.t.Helper()
	number, ordered := a.OrderInHand()
	if !ordered {
		tm.t.Fatalf("%v is %v, nobody ordered a process", &a.Place, a.State())
	}
	p := tm.os.start()
	tm.say(g, workerspec.Event{Kind: "forked", ID: number, Role: workerspec.RoleMule, Worker: a.ID, PID: p.pid})
	g.workerReport(process.Report{Event: workerspec.Event{Kind: "ready", Role: workerspec.RoleMule, Worker: a.ID}, Sender: p.pid})
	if !a.Is(process.Ready) {
		tm.t.Fatalf("%v is %v", &a.Place, a.State())
	}
	return p
}

func TestMulesAreNotWaitedFor(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.cfg.Mules = make([]uwsgiopts.Mule, 2)
	g := tm.start()
	for _, a := range g.auxiliaries {
		if !a.Is(process.Ordered) {
			t.Errorf("%v is %v when its generation serves", &a.Place, a.State())
		}
	}
}

func TestAMuleThatDiesIsReplaced(t *testing.T) {
	tm, g := withMules(t, 2)
	a := g.auxiliaries[1]
	tm.os.children[a.PID()].exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another one is ordered", func() bool { return a.Is(process.Ordered) })
	tm.forkMule(g, a)
	if g.auxiliaries[0].Starts() != 1 {
		t.Errorf("the other mule was started %d times", g.auxiliaries[0].Starts())
	}
}

func TestAForkOfAMuleThatFailsIsTriedAgain(t *testing.T) {
	tm, g := withMules(t, 1)
	a := g.auxiliaries[0]
	tm.os.children[a.PID()].exit(process.Exit{})
	tm.turn("another one is ordered", func() bool { return a.Is(process.Ordered) })
	number, _ := a.OrderInHand()
	tm.say(g, workerspec.Event{Kind: "fork failed", ID: number, Role: workerspec.RoleMule, Worker: 1, Text: "Resource temporarily unavailable"})
	if !a.Is(process.Absent) {
		t.Fatalf("the place is %v", a.State())
	}
	tm.turn("it is ordered again", func() bool { return a.Is(process.Ordered) })
}

// TestThereAreNeverTwoOfAMule: at a reload the next one waits until the one before it has gone.
func TestThereAreNeverTwoOfAMule(t *testing.T) {
	tm, old := withMules(t, 1)
	before := tm.os.children[old.auxiliaries[0].PID()]
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	next := tm.master.next
	tm.comeUp(next)
	if tm.current != next || !received(before, syscall.SIGTERM) {
		t.Fatalf("the next generation serves: %v; the mule was told %v", tm.current == next, before.sent)
	}
	if a := next.auxiliaries[0]; !a.Is(process.Absent) {
		t.Fatalf("there is an old mule, and the new one is %v", a.State())
	}
	before.exit(process.Exit{})
	tm.turn("the new mule is ordered", func() bool { return next.auxiliaries[0].Is(process.Ordered) })
	tm.forkMule(next, next.auxiliaries[0])
}

func TestAMuleThatDoesNotLeaveIsKilled(t *testing.T) {
	tm, g := withMules(t, 1)
	a := g.auxiliaries[0]
	p := tm.os.children[a.PID()]
	g.reloadAuxiliaries(workerspec.RoleMule)
	g.enforce(time.Now())
	if received(p, syscall.SIGKILL) {
		t.Fatal("it was killed before its time")
	}
	g.enforce(time.Now().Add(2 * time.Minute))
	if !received(p, syscall.SIGTERM) || !received(p, syscall.SIGKILL) {
		t.Fatalf("it was told %v", p.sent)
	}
	p.exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another one is ordered", func() bool { return a.Is(process.Ordered) })
}

func TestHarakiriOfAMule(t *testing.T) {
	tm, g := withMules(t, 1)
	a := g.auxiliaries[0]
	p := tm.os.children[a.PID()]
	line := g.lines.Line(a.Row)
	line.Deadline.Store(monotime.Now() + int64(time.Hour))
	g.enforce(time.Now())
	if len(p.sent) != 0 {
		t.Fatalf("it was told %v before its time", p.sent)
	}
	line.Deadline.Store(monotime.Now() - 1)
	g.enforce(time.Now())
	g.enforce(time.Now())
	if len(p.sent) != 1 || p.sent[0] != syscall.SIGKILL {
		t.Fatalf("it was told %v", p.sent)
	}
	p.exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another one is ordered", func() bool { return a.Is(process.Ordered) })
	if line.Deadline.Load() != 0 {
		t.Error("the next one has the deadline of the one before")
	}
}

// TestWhoIsNoMuleIsNotTakenForOne: a child of the application writes to the same socket.
func TestWhoIsNoMuleIsNotTakenForOne(t *testing.T) {
	tm, g := withMules(t, 1)
	a := g.auxiliaries[0]
	pid, stranger := a.PID(), tm.os.start()
	for _, kind := range []string{"started", "ready"} {
		for _, number := range []int{0, 1, 2, -1} {
			g.workerReport(process.Report{Event: workerspec.Event{Kind: kind, Role: workerspec.RoleMule, Worker: number}, Sender: stranger.pid})
		}
	}
	if a.PID() != pid || len(stranger.sent) != 0 {
		t.Errorf("the mule is %d now, the stranger was told %v", a.PID(), stranger.sent)
	}
}

func TestTheEndWaitsForMules(t *testing.T) {
	tm, g := withMules(t, 1)
	mule := tm.os.children[g.auxiliaries[0].PID()]
	worker := tm.processOf(g.workers[0])
	tm.master.stop()
	worker.exit(process.Exit{})
	tm.zygoteOf(g).exit(process.Exit{})
	tm.turn("workers and zygote have gone", func() bool { return g.empty() && g.zygote.State() == process.Lost })
	if tm.finished() {
		t.Fatal("the master ends before its mule")
	}
	mule.exit(process.Exit{})
	tm.turn("all have gone", tm.finished)
}
