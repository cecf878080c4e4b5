package master

import (
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

func TestALostZygoteIsReplacedHoweverOftenThatFails(t *testing.T) {
	tm := newTestMaster(t, 2)
	tm.reloads.recovery.backoff = respawn.Backoff{Policy: respawn.Policy{Healthy: time.Hour, First: time.Millisecond, Max: 4 * time.Millisecond}}
	old := tm.start()
	tm.zygoteOf(old).exit(process.Exit{Signal: syscall.SIGKILL})
	for range 5 { // the code on disk does not load
		tm.turn("another attempt", func() bool { return tm.master.next != nil })
		g := tm.master.next
		tm.say(g, workerspec.Event{Kind: "failed", Status: 22})
		tm.zygoteOf(g).exit(process.Exit{Status: 22})
		tm.turn("it has failed", func() bool { return tm.master.next == nil })
	}
	for _, w := range old.workers { // nobody can replace them
		tm.processOf(w).exit(process.Exit{Signal: syscall.SIGKILL})
	}
	tm.turn("the workers have gone", old.empty)
	if tm.life.stopping || tm.current != old {
		t.Fatal("the service was given up")
	}
	tm.turn("another attempt", func() bool { return tm.master.next != nil })
	g := tm.master.next
	tm.comeUp(g)
	if tm.current != g || tm.lostZygote() {
		t.Fatal("the service has not come back")
	}
}

func TestAZygoteThatDoesNotForkIsReplaced(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.reloads.recovery.backoff = respawn.Backoff{Policy: respawn.Policy{Healthy: time.Hour, First: time.Millisecond, Max: time.Millisecond}}
	now := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return now }
	g := tm.start()
	tm.processOf(g.workers[0]).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return g.workers[0].Is(process.Ordered) })
	g.enforce(now.Add(forkTimeout))
	if received(tm.zygoteOf(g), syscall.SIGKILL) {
		t.Fatal("killed too early")
	}
	g.enforce(now.Add(forkTimeout + time.Second))
	if !received(tm.zygoteOf(g), syscall.SIGKILL) {
		t.Fatal("a stuck zygote lives")
	}
	tm.turn("another generation", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if tm.current == g {
		t.Fatal("the service has not come back")
	}
}

func TestAForkThatFailsIsTriedAgain(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	w := g.workers[0]
	tm.processOf(w).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return w.Is(process.Ordered) })
	number, _ := w.OrderInHand()
	tm.say(g, workerspec.Event{Kind: "fork failed", ID: number, Worker: 1, Text: "Resource temporarily unavailable"})
	if !w.Is(process.Absent) {
		t.Fatalf("the place is %v", w.State())
	}
	tm.turn("it is ordered again", func() bool { return w.Is(process.Ordered) })
	tm.fork(g, w)
	if !w.Is(process.Ready) || g.draining {
		t.Fatalf("the place is %v", w.State())
	}
}

// TestAWorkerOfTheLastMomentIsNotLost: it is forked while the generation is told to go.
func TestAWorkerOfTheLastMomentIsNotLost(t *testing.T) {
	tm := newTestMaster(t, 1)
	old := tm.start()
	w := old.workers[0]
	tm.processOf(w).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return w.Is(process.Ordered) })
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	late := tm.os.start()
	number, _ := w.OrderInHand()
	tm.say(old, workerspec.Event{Kind: "forked", ID: number, Worker: 1, PID: late.pid})
	if !received(late, syscall.SIGTERM) || old.gone() {
		t.Fatalf("it was told %v, the generation is gone: %v", late.sent, old.gone())
	}
	late.exit(process.Exit{Status: 30})
	tm.zygoteOf(old).exit(process.Exit{})
	tm.turn("the old generation goes", func() bool { return len(tm.old) == 0 })
}

func TestAWorkerWhoseZygoteDiedBeforeItCouldTellIsEnded(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	w := g.workers[0]
	tm.processOf(w).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return w.Is(process.Ordered) })
	tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("the zygote is lost", tm.lostZygote)
	stray := tm.os.start()
	g.workerReport(process.Report{Event: workerspec.Event{Kind: "started", Worker: 1}, Sender: stray.pid})
	if !received(stray, syscall.SIGKILL) || w.PID() != 0 {
		t.Fatalf("it was told %v", stray.sent)
	}
}

// FuzzWhatChildrenSay lets children say anything: no panic, and no signal to a process that is not ours.
func FuzzWhatChildrenSay(f *testing.F) {
	for n := range 12 {
		f.Add(uint8(n), int8(n-3), n*7, uint64(n), n%3)
	}
	f.Fuzz(func(t *testing.T, kind uint8, worker int8, pid int, id uint64, who int) {
		tm := newTestMaster(t, 2)
		g := tm.start()
		tm.processOf(g.workers[1]).exit(process.Exit{Status: 1})
		tm.turn("a worker is ordered", func() bool { return g.workers[1].Is(process.Ordered) })
		kinds := []string{"loaded", "forked", "fork failed", "failed", "gateway", "started", "ready", "stopping", "alarm", "", "step"}
		e := workerspec.Event{Kind: kinds[int(kind)%len(kinds)], Worker: int(worker), PID: pid, ID: id, Status: pid}
		zygote := g.zygote.Process().PID()
		sender := []int{zygote, g.workers[0].PID(), pid}[((who%3)+3)%3]
		g.zygoteReport(process.Report{Event: e, Sender: sender})
		g.workerReport(process.Report{Event: e, Sender: sender})
		for _, w := range g.workers {
			if pid := w.PID(); pid != 0 && tm.os.children[pid] == nil {
				t.Errorf("%+v from %d: a stranger, %d, is in place %d", e, sender, pid, w.ID)
			}
		}
		if tm.life.stopping {
			t.Errorf("%+v from %d ends everything", e, sender)
		}
	})
}

// TestALostZygoteIsNoReload: with --exit-on-reload the service is saved, and a reload still ends it.
func TestALostZygoteIsNoReload(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.cfg.ExitOnReload = true
	tm.reloads.recovery.backoff = respawn.Backoff{Policy: respawn.Policy{Healthy: time.Hour, First: time.Millisecond, Max: time.Millisecond}}
	old := tm.start()
	tm.zygoteOf(old).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another generation loads", func() bool { return tm.master.next != nil })
	g := tm.master.next
	tm.comeUp(g)
	if tm.current != g || tm.life.stopping {
		t.Fatal("the service was not saved")
	}
	tm.processOf(old.workers[0]).exit(process.Exit{Status: 17})
	tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("the next zygote is lost too", tm.lostZygote)
	tm.reload(false)
	if !tm.life.stopping || !received(tm.processOf(g.workers[0]), syscall.SIGTERM) {
		t.Fatal("a reload does not end it")
	}
}

// TestAWorkerThatDoesNotGetReadyIsReplaced: those before it have shown how long that takes.
func TestAWorkerThatDoesNotGetReadyIsReplaced(t *testing.T) {
	tm := newTestMaster(t, 1)
	now := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return now }
	if err := tm.startUp(); err != nil {
		t.Fatal(err)
	}
	g := tm.master.next
	w := g.workers[0]
	tm.say(g, workerspec.Event{Kind: "loaded"})
	first := tm.begin(g, w)
	now = now.Add(time.Hour)
	g.enforce(now)
	if len(first.sent) != 0 {
		t.Fatal("the first one has a limit, although nothing is known yet")
	}
	now = now.Add(time.Hour)
	tm.tell(g, w, first, "ready")
	if g.slowestStart != 2*time.Hour {
		t.Fatalf("it took %v", g.slowestStart)
	}
	g.slowestStart = 10 * time.Second
	first.exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another one is ordered", func() bool { return w.Is(process.Ordered) })
	hangs := tm.begin(g, w)
	g.enforce(now.Add(100 * time.Second))
	if len(hangs.sent) != 0 {
		t.Fatal("killed too early")
	}
	g.enforce(now.Add(100*time.Second + 1))
	if !received(hangs, syscall.SIGKILL) {
		t.Fatal("it may hang for ever")
	}
	tm.turn("another one is ordered", func() bool { return w.Is(process.Ordered) })
}
