package master

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/stats"
)

// lazyMaster is a test master whose workers load the application by themselves, with a clock that the test sets.
func lazyMaster(t *testing.T, processes int) (tm *testMaster, g *generation, now *time.Time) {
	t.Helper()
	tm = newTestMaster(t, processes)
	tm.cfg.LazyApps = true
	at := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return at }
	return tm, tm.start(), &at
}

// recycled has the only worker ask for a successor, which is forked.
func recycled(tm *testMaster, g *generation) (w *worker, old, successor *fakeProcess) {
	tm.t.Helper()
	w = g.workers[0]
	old = tm.processOf(w)
	tm.tell(g, w, old, "recycle")
	return w, old, tm.begin(g, w)
}

func TestTheSuccessorOfTheOnlyWorkerComesUpBesideIt(t *testing.T) {
	tm, g, _ := lazyMaster(t, 1)
	w, old, successor := recycled(tm, g)
	if w.PID() != old.pid || !w.Is(process.Ready) || len(old.sent) != 0 {
		t.Fatalf("while its successor loads, worker 1 is %d, %v, and was told %v", w.PID(), w.State(), old.sent)
	}
	if w.Row != 1 || w.beside.Row != 2 {
		t.Fatalf("rows %d and %d", w.Row, w.beside.Row)
	}
	g.board.Core(1, 0).Requests.Store(50)
	tm.tell(g, w, successor, "ready")
	if w.PID() != successor.pid || !w.Is(process.Ready) || !slices.Equal(old.sent, []syscall.Signal{syscall.SIGHUP}) {
		t.Fatalf("when it is ready, worker 1 is %d, %v, and the old one was told %v", w.PID(), w.State(), old.sent)
	}
	g.board.Core(2, 0).Requests.Store(3)
	g.board.Core(1, 0).Requests.Store(51) // the one that it had in hand
	check := func(when string) {
		t.Helper()
		s := g.snapshot(w)
		if s.Requests != 54 || s.Cores[0].Requests != 54 || s.PID != successor.pid || s.Starts != 2 || !s.Accepting {
			t.Errorf("%s: %+v", when, s)
		}
	}
	check("while the old one leaves")
	old.exit(process.Exit{Status: 17})
	tm.turn("the old one has left", func() bool { return w.beside.Is(process.Absent) })
	check("then")
	if g.spareRow != 1 || w.Row != 2 || g.board.Core(1, 0).Worker.Load() != 0 || g.board.Core(2, 0).Worker.Load() != 1 {
		t.Fatalf("spare row %d, worker 1 has %d", g.spareRow, w.Row)
	}
	// Once more, into row 1.
	if w, old, successor = recycled(tm, g); old.pid == successor.pid || w.beside.Row != 1 {
		t.Fatalf("the next successor has row %d", w.beside.Row)
	}
	tm.tell(g, w, successor, "ready")
	old.exit(process.Exit{Status: 17})
	tm.turn("the next one has left", func() bool { return w.beside.Is(process.Absent) })
	if s := g.snapshot(w); s.Requests != 54 || s.Starts != 3 || s.Delta != 0 {
		t.Errorf("%+v", s)
	}
}

func TestASuccessorThatDoesNotComeUpCostsNothing(t *testing.T) {
	for name, end := range map[string]func(tm *testMaster, g *generation, w *worker, p *fakeProcess){
		"its import fails": func(tm *testMaster, g *generation, w *worker, p *fakeProcess) {
			tm.tell(g, w, p, "failed")
			p.exit(process.Exit{Status: 22})
		},
		"it is killed": func(_ *testMaster, _ *generation, _ *worker, p *fakeProcess) {
			p.exit(process.Exit{Signal: syscall.SIGKILL})
		},
		"it takes a minute": func(tm *testMaster, g *generation, _ *worker, _ *fakeProcess) {
			g.enforce(tm.sys.now().Add(time.Minute + 1))
		},
		"it ends with status 17": func(_ *testMaster, _ *generation, _ *worker, p *fakeProcess) { p.exit(process.Exit{Status: 17}) },
	} {
		t.Run(name, func(t *testing.T) {
			tm, g, now := lazyMaster(t, 1)
			g.slowestStart = time.Second
			w, old, successor := recycled(tm, g)
			end(tm, g, w, successor)
			tm.turn("it has ended", func() bool { return w.beside.Is(process.Absent) })
			if w.PID() != old.pid || !w.Is(process.Ready) || len(old.sent) != 0 || g.draining || tm.life.stopping {
				t.Fatalf("worker 1 is %d, %v, and was told %v", w.PID(), w.State(), old.sent)
			}
			orders := len(tm.orders[g].sent)
			g.enforce(*now)
			if len(tm.orders[g].sent) != orders {
				t.Fatal("the next attempt is made at once")
			}
			*now = now.Add(time.Second)
			g.enforce(*now)
			if len(tm.orders[g].sent) != orders+1 || tm.orders[g].sent[orders].Row != 2 || !tm.orders[g].sent[orders].Again {
				t.Fatalf("no attempt is made later: %+v", tm.orders[g].sent)
			}
			next := tm.fork(g, w)
			if w.PID() != next.pid || !received(old, syscall.SIGHUP) || w.successors.Row() != 0 {
				t.Fatalf("worker 1 is %d", w.PID())
			}
		})
	}
}

func TestAnOrderForASuccessorThatIsNotCarriedOut(t *testing.T) {
	tm, g, now := lazyMaster(t, 1)
	w := g.workers[0]
	old := tm.processOf(w)
	tm.tell(g, w, old, "recycle")
	number, _ := w.beside.OrderInHand()
	tm.say(g, workerspec.Event{Kind: "fork failed", ID: number, Worker: 1, Text: "made up"})
	if !w.beside.Is(process.Absent) || g.spareRow != 2 || len(old.sent) != 0 {
		t.Fatalf("beside is %v, the spare row %d", w.beside.State(), g.spareRow)
	}
	*now = now.Add(time.Minute)
	g.enforce(*now)
	if !w.beside.Is(process.Ordered) {
		t.Fatal("it is not tried again")
	}
	g.enforce(now.Add(forkTimeout + 1))
	if !received(tm.zygoteOf(g), syscall.SIGKILL) || len(old.sent) != 0 || g.spareRow != 2 {
		t.Fatal("a stuck zygote lives, or the worker does not")
	}
	tm.turn("the zygote has ended", tm.lostZygote)
	*now = now.Add(time.Minute)
	g.enforce(*now)
	if w.PID() != old.pid || len(old.sent) != 0 {
		t.Fatalf("without a zygote worker 1 is %d, and was told %v", w.PID(), old.sent)
	}
}

func TestAWorkerThatIsKilledInTheOverlap(t *testing.T) {
	for _, forked := range []bool{false, true} {
		tm, g, _ := lazyMaster(t, 1)
		w := g.workers[0]
		old := tm.processOf(w)
		tm.tell(g, w, old, "recycle")
		var successor *fakeProcess
		if forked {
			successor = tm.begin(g, w)
		}
		g.board.Core(1, 0).Requests.Store(50)
		old.exit(process.Exit{Signal: syscall.SIGKILL})
		tm.turn("its successor takes the place", func() bool { return w.beside.Is(process.Absent) && w.Row == 2 })
		if len(tm.orders[g].sent) != 2 || g.spareRow != 1 {
			t.Fatalf("forked %v: %d orders", forked, len(tm.orders[g].sent))
		}
		if !forked {
			successor = tm.begin(g, w)
		}
		if !w.Is(process.Starting) || w.PID() != successor.pid {
			t.Fatalf("forked %v: worker 1 is %d, %v", forked, w.PID(), w.State())
		}
		tm.tell(g, w, successor, "ready")
		if s := g.snapshot(w); !w.Is(process.Ready) || s.Requests != 50 || s.Starts != 2 || s.PID != successor.pid {
			t.Fatalf("forked %v: %+v", forked, s)
		}
	}
}

func TestASuccessorThatIsKilledAfterItHasTakenOver(t *testing.T) {
	tm, g, _ := lazyMaster(t, 1)
	w, old, successor := recycled(tm, g)
	tm.tell(g, w, successor, "ready")
	successor.exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another one is ordered", func() bool { return w.Is(process.Ordered) })
	if w.beside.PID() != old.pid || w.Row != 2 {
		t.Fatalf("beside is %d, row %d", w.beside.PID(), w.Row)
	}
	tm.fork(g, w)
	old.exit(process.Exit{Status: 17})
	tm.turn("the old one has left", func() bool { return w.beside.Is(process.Absent) })
	if g.spareRow != 1 || !w.Is(process.Ready) {
		t.Fatalf("spare row %d, worker 1 is %v", g.spareRow, w.State())
	}
}

// TestAStopInTheOverlapEndsBoth tries a stop, gentle and not, at each of its points.
func TestAStopInTheOverlapEndsBoth(t *testing.T) {
	for _, point := range []string{"ordered", "starting", "leaving"} {
		for _, twice := range []bool{false, true} {
			tm, g, _ := lazyMaster(t, 1)
			w := g.workers[0]
			old := tm.processOf(w)
			tm.tell(g, w, old, "recycle")
			var successor *fakeProcess
			if point != "ordered" {
				successor = tm.begin(g, w)
			}
			if point == "leaving" {
				tm.tell(g, w, successor, "ready")
			}
			orders := tm.orders[g]
			tm.stop()
			if twice {
				tm.stop()
			}
			if point == "ordered" { // a dismissed zygote still forks what it was ordered
				successor = tm.begin(g, w)
			}
			want := syscall.SIGTERM
			if twice {
				want = syscall.SIGKILL
			}
			if !received(old, want) || !received(successor, want) || !orders.ended {
				t.Fatalf("%s, twice %v: told %v and %v", point, twice, old.sent, successor.sent)
			}
			if tm.served() {
				t.Fatalf("%s, twice %v: nobody is waited for", point, twice)
			}
			old.exit(process.Exit{Status: 30})
			tm.turn("the old one has gone", func() bool { return w.seatOf(old.pid) == nil })
			successor.exit(process.Exit{Status: 30})
			tm.turn("all have gone", tm.served)
		}
	}
}

func TestAReloadInTheOverlapEndsBoth(t *testing.T) {
	tm, old, _ := lazyMaster(t, 1)
	w, serving, successor := recycled(tm, old)
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if !received(serving, syscall.SIGHUP) || !received(successor, syscall.SIGTERM) {
		t.Fatalf("told %v and %v", serving.sent, successor.sent)
	}
	tm.tell(old, w, successor, "ready") // it had not heard
	if !received(successor, syscall.SIGHUP) || w.PID() != serving.pid {
		t.Fatalf("told %v", successor.sent)
	}
	serving.exit(process.Exit{Status: 17})
	successor.exit(process.Exit{Status: 17})
	tm.turn("the old generation goes", func() bool { return len(tm.old) == 0 })
}

func TestCheapeningAndBrutalReloadsEndASuccessor(t *testing.T) {
	for _, brutal := range []bool{false, true} {
		tm, g, _ := lazyMaster(t, 1)
		w, old, successor := recycled(tm, g)
		if brutal {
			tm.reloadWorkers(true)
		} else {
			g.cheapen(w)
		}
		if !received(successor, syscall.SIGTERM) {
			t.Fatalf("brutal %v: the successor was told %v", brutal, successor.sent)
		}
		tm.tell(g, w, successor, "ready") // it had not heard
		if w.PID() == successor.pid || len(successor.sent) != 2 {
			t.Fatalf("brutal %v: it takes over", brutal)
		}
		old.exit(process.Exit{Status: 17})
		successor.exit(process.Exit{Status: 30})
		tm.turn("both have ended", func() bool { return w.beside.Is(process.Absent) && w.seatOf(old.pid) == nil && g.spareRow == 2 })
		if brutal != w.Is(process.Ordered) {
			t.Fatalf("brutal %v: worker 1 is %v", brutal, w.State())
		}
	}
}

func TestAChainReloadOfOneWorker(t *testing.T) {
	tm, g, _ := lazyMaster(t, 1)
	w := g.workers[0]
	old := tm.processOf(w)
	tm.chainReload()
	successor := tm.begin(g, w)
	tm.advanceChain()
	if len(old.sent) != 0 || tm.reloads.chain == nil {
		t.Fatalf("told %v", old.sent)
	}
	tm.tell(g, w, successor, "ready")
	if !received(old, syscall.SIGHUP) || tm.reloads.chain != nil {
		t.Fatal("not complete")
	}
	// With code that does not load.
	old.exit(process.Exit{Status: 17})
	tm.turn("the old one has left", func() bool { return w.beside.Is(process.Absent) })
	tm.chainReload()
	tm.begin(g, w).exit(process.Exit{Status: 22})
	tm.turn("it is given up", func() bool { return tm.reloads.chain == nil })
	if w.PID() != successor.pid || len(successor.sent) != 0 {
		t.Fatalf("worker 1 is %d, told %v", w.PID(), successor.sent)
	}
}

// TestWorkersTakeTurns: only the last that serves gets a successor beside it.
func TestWorkersTakeTurns(t *testing.T) {
	tm, g, _ := lazyMaster(t, 2)
	one, two := g.workers[0], g.workers[1]
	first, second := tm.processOf(one), tm.processOf(two)
	tm.tell(g, one, first, "recycle")
	tm.tell(g, two, second, "recycle")
	if !received(first, syscall.SIGHUP) || len(second.sent) != 0 || !two.beside.Is(process.Absent) {
		t.Fatalf("told %v and %v", first.sent, second.sent)
	}
	first.exit(process.Exit{Status: 17})
	tm.turn("its place is filled", func() bool { return one.Is(process.Ordered) })
	tm.fork(g, one)
	if !received(second, syscall.SIGHUP) {
		t.Fatal("the other one does not have its turn")
	}
	second.exit(process.Exit{Status: 17})
	tm.turn("its place is filled", func() bool { return two.Is(process.Ordered) })
	tm.fork(g, two)
	tm.cfg.MaxWorkerLifetime = time.Minute
	g.cheapen(two)
	tm.processOf(two).exit(process.Exit{Status: 17})
	tm.turn("one is cheap", func() bool { return two.Is(process.Absent) })
	g.retireOld(tm.sys.now().Add(2 * time.Minute))
	if one.PID() == 0 || !one.Is(process.Ready) || !one.beside.Is(process.Ordered) {
		t.Fatalf("the last one is %v, its successor %v", one.State(), one.beside.State())
	}
}

func TestHarakiriInTheOverlap(t *testing.T) {
	tm, g, now := lazyMaster(t, 1)
	*now = time.Now() // deadlines are the monotonic clock's
	w, old, successor := recycled(tm, g)
	tm.tell(g, w, successor, "ready")
	core := g.board.Core(w.beside.Row, 0)
	core.State.Store(shm.Busy)
	core.Deadline.Store(1)
	if s := g.snapshot(w); s.Status != stats.Busy || s.Cores[0].Request == nil {
		t.Fatalf("%+v", s)
	}
	g.enforce(*now)
	if !received(old, syscall.SIGKILL) || len(successor.sent) != 0 || w.harakiris != 1 {
		t.Fatalf("told %v and %v", old.sent, successor.sent)
	}
	tm.turn("it has ended", func() bool { return w.beside.Is(process.Absent) })
	if !w.Is(process.Ready) {
		t.Fatalf("worker 1 is %v", w.State())
	}
}
