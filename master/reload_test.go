package master

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

func TestAReloadReplacesTheGeneration(t *testing.T) {
	tm := newTestMaster(t, 2)
	old := tm.start()
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	g := tm.master.next
	tm.say(g, workerspec.Event{Kind: "loaded"})
	tm.fork(g, g.workers[0])
	if tm.current != old {
		t.Fatal("took over before all workers were ready")
	}
	tm.fork(g, g.workers[1])
	if tm.current != g || !old.draining || !tm.orders[old].ended {
		t.Fatal("did not take over")
	}
	for _, w := range old.workers {
		if p := tm.processOf(w); !received(p, syscall.SIGHUP) {
			t.Errorf("worker %d was not told: %v", w.ID, p.sent)
		}
		tm.processOf(w).exit(process.Exit{Status: 17})
	}
	tm.zygoteOf(old).exit(process.Exit{})
	tm.turn("the old generation goes", func() bool { return len(tm.old) == 0 })
}

func TestABrutalReloadDoesNotWait(t *testing.T) {
	tm := newTestMaster(t, 1)
	old := tm.start()
	worker := tm.processOf(old.workers[0])
	tm.reload(true)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if !received(worker, syscall.SIGKILL) || !received(tm.zygoteOf(old), syscall.SIGTERM) {
		t.Fatal("the old ones live")
	}
	tm.zygoteOf(old).exit(process.Exit{})
	tm.turn("they are gone", func() bool { return len(tm.old) == 0 })
}

// TestEveryFailureOfAReloadLeavesTheServiceAlone makes a reload fail at each of its steps.
func TestEveryFailureOfAReloadLeavesTheServiceAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(tm *testMaster)
		then func(tm *testMaster, g *generation) // once it loads; nil: it never does
	}{
		{"the configuration cannot be read", func(tm *testMaster) { tm.reading = errTest }, nil},
		{"chdir leads nowhere", func(tm *testMaster) { tm.next = &uwsgiopts.Config{StartDir: "/none/such"} }, nil},
		{"a hook fails", func(tm *testMaster) {
			cfg := *tm.cfg
			cfg.Hooks = []uwsgiopts.Hook{{Phase: "pre-app", Text: "exit 3", Command: true}}
			tm.next = &cfg
		}, nil},
		{"a socket cannot be opened", func(tm *testMaster) {
			cfg := *tm.cfg
			cfg.Sockets = append([]uwsgiopts.Socket{{Protocol: "http", Address: "/none/such/socket"}}, cfg.Sockets...)
			tm.next = &cfg
		}, nil},
		{"the zygote cannot be started", func(tm *testMaster) { tm.failing = errTest }, nil},
		{"the application does not load", nil, func(tm *testMaster, g *generation) {
			tm.say(g, workerspec.Event{Kind: "failed", Status: 22})
			tm.zygoteOf(g).exit(process.Exit{Status: 22})
		}},
		{"the zygote is killed while it loads", nil, func(tm *testMaster, g *generation) {
			tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
		}},
		{"the zygote is killed before it has forked", nil, func(tm *testMaster, g *generation) {
			tm.say(g, workerspec.Event{Kind: "loaded"})
			tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
		}},
		{"a hook after loading fails", func(tm *testMaster) {
			cfg := *tm.cfg
			cfg.Hooks = []uwsgiopts.Hook{{Phase: "post-app", Text: "exit 3", Command: true}}
			tm.next = &cfg
		}, func(tm *testMaster, g *generation) { tm.say(g, workerspec.Event{Kind: "loaded"}) }},
		{"a worker ends before it is ready", nil, func(tm *testMaster, g *generation) {
			tm.say(g, workerspec.Event{Kind: "loaded"})
			number, _ := g.workers[0].OrderInHand()
			p := tm.os.start()
			tm.say(g, workerspec.Event{Kind: "forked", ID: number, Worker: 1, PID: p.pid})
			g.workerReport(process.Report{Event: workerspec.Event{Kind: "failed", Worker: 1, Status: 22}, Sender: p.pid})
			p.exit(process.Exit{Status: 22})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tm := newTestMaster(t, 1)
			old := tm.start()
			serving := tm.processOf(old.workers[0])
			watchdogStopped := false
			tm.watchdog = &watchdog{cancel: func() { watchdogStopped = true }}
			if c.fail != nil {
				c.fail(tm)
			}
			tm.reload(false)
			if c.then != nil {
				tm.turn("it loads", func() bool { return tm.master.next != nil })
				c.then(tm, tm.master.next)
			}
			tm.turn("it has failed", func() bool { return !tm.reloads.preparing && tm.master.next == nil && len(tm.old) == 0 })
			if tm.current != old || tm.life.stopping || old.draining || old.workers[0].State() != process.Ready || len(serving.sent) != 0 {
				t.Fatalf("the service was touched: stopping %v, draining %v, worker %v, signals %v", tm.life.stopping, old.draining, old.workers[0].State(), serving.sent)
			}
			if watchdogStopped {
				t.Fatal("the watchdog of the service was stopped")
			}
			if len(tm.sockets) != 1 || !sockets.IsListener(tm.sockets[0].FD) {
				t.Fatal("its socket was touched")
			}
			tm.reading, tm.failing, tm.next = nil, nil, tm.cfg // mended
			tm.reload(false)
			tm.turn("it loads", func() bool { return tm.master.next != nil })
			g := tm.master.next
			tm.comeUp(g)
			if tm.current != g {
				t.Fatal("the next reload does not come up")
			}
		})
	}
}

func TestWhatIsAskedForDuringAReloadIsDoneAfterIt(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.start()
	tm.reload(false)
	tm.reload(false) // while it is prepared
	tm.turn("it loads", func() bool { return tm.master.next != nil })
	first := tm.master.next
	tm.reload(true) // while it loads
	tm.comeUp(first)
	tm.turn("the second one loads", func() bool { return tm.master.next != nil && tm.master.next != first })
	if tm.current != first {
		t.Fatal("the first was not waited for")
	}
}

func TestAWorkerThatIsStartingAtATakeoverIsToldAgainWhenItIsReady(t *testing.T) {
	tm := newTestMaster(t, 1)
	old := tm.start()
	w := old.workers[0]
	tm.processOf(w).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return w.Is(process.Ordered) })
	number, _ := w.OrderInHand()
	starting := tm.os.start()
	tm.say(old, workerspec.Event{Kind: "forked", ID: number, Worker: 1, PID: starting.pid})
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if !slices.Equal(starting.sent, []syscall.Signal{syscall.SIGTERM}) {
		t.Fatalf("while it was starting it was told %v", starting.sent)
	}
	old.workerReport(process.Report{Event: workerspec.Event{Kind: "ready", Worker: 1}, Sender: starting.pid})
	if !slices.Equal(starting.sent, []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}) {
		t.Fatalf("when it was ready it was told %v", starting.sent)
	}
}

func TestAReloadSupersedesOneThatDoesNotComeUp(t *testing.T) {
	tm := newTestMaster(t, 1)
	now := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return now }
	old := tm.start()
	tm.reload(false)
	tm.turn("it loads", func() bool { return tm.master.next != nil })
	stuck := tm.master.next
	now = now.Add(time.Hour)
	tm.giveUpLate(now)
	if tm.master.next != stuck {
		t.Fatal("given up although nobody asks for another one")
	}
	tm.reload(false)
	tm.giveUpLate(now)
	if tm.master.next != nil || !stuck.draining || tm.current != old {
		t.Fatal("not given up")
	}
	tm.turn("another one loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if tm.current == old {
		t.Fatal("it does not come up")
	}
}

func TestAZygoteThatDoesNotGoIsKilled(t *testing.T) {
	tm := newTestMaster(t, 1)
	now := time.Unix(1000, 0)
	g := tm.start()
	zygote := tm.zygoteOf(g)
	zygote.gone = true // it is stopped, and hears nothing
	tm.stop()
	tm.processOf(g.workers[0]).exit(process.Exit{Status: 30})
	tm.turn("the worker has gone", g.empty)
	g.enforce(now)
	g.enforce(now.Add(zygoteMercy))
	if received(zygote, syscall.SIGKILL) {
		t.Fatal("killed too early")
	}
	g.enforce(now.Add(zygoteMercy + time.Second))
	if !received(zygote, syscall.SIGKILL) {
		t.Fatal("not killed")
	}
}

func TestAReloadDuringAnUpgradeFollowsIt(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.start()
	tm.upgrader.busy = true
	tm.handle(syscall.SIGHUP)
	if tm.reloads.preparing || !tm.reloads.pending.reload {
		t.Fatal("it did not wait")
	}
	tm.upgrader.handover, _ = sockets.NewHandover()
	tm.upgradeDone(errTest)
	tm.turn("it loads", func() bool { return tm.master.next != nil })
}

func TestAStopDuringAnUpgradeEndsBoth(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	tm.upgrader.handover, _ = sockets.NewHandover()
	tm.upgrader.busy = true
	tm.handle(syscall.SIGTERM)
	tm.processOf(g.workers[0]).exit(process.Exit{Status: 30})
	tm.turn("all have gone", func() bool { return tm.served() })
	if tm.finished() {
		t.Fatal("the end of the next executable was not waited for")
	}
	tm.upgradeDone(errTest)
	if !tm.finished() || tm.reloads.preparing {
		t.Fatal("not finished")
	}
}

// TestAServiceWhoseWorkersNoLongerLoadIsSavedByAReload: lazy applications, asleep, woken with broken code.
func TestAServiceWhoseWorkersNoLongerLoadIsSavedByAReload(t *testing.T) {
	for _, loads := range []bool{true, false} {
		tm := newTestMaster(t, 1)
		tm.cfg.Cheap = true
		old := tm.start()
		tm.wake()
		w := old.workers[0]
		number, _ := w.OrderInHand()
		p := tm.os.start()
		tm.say(old, workerspec.Event{Kind: "forked", ID: number, Worker: 1, PID: p.pid})
		tm.reload(false) // the code has been mended
		p.exit(process.Exit{Status: 22})
		tm.turn("the worker has failed", func() bool { return old.draining })
		tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
		g := tm.master.next
		if loads {
			tm.comeUp(g)
			tm.turn("it serves", func() bool { return tm.current == g })
			if tm.life.stopping || tm.life.status != statusOK {
				t.Fatal("it ends")
			}
			continue
		}
		tm.say(g, workerspec.Event{Kind: "failed", Status: 22})
		tm.zygoteOf(g).exit(process.Exit{Status: 22})
		tm.turn("all have gone", tm.finished)
		if tm.life.status != 22 {
			t.Fatalf("status %d", tm.life.status)
		}
	}
}

func TestAStopDuringAReloadEndsBoth(t *testing.T) {
	tm := newTestMaster(t, 1)
	old := tm.start()
	tm.reload(false)
	tm.turn("it loads", func() bool { return tm.master.next != nil })
	g := tm.master.next
	tm.stop()
	if !received(tm.zygoteOf(g), syscall.SIGKILL) || !received(tm.processOf(old.workers[0]), syscall.SIGTERM) {
		t.Fatal("not all were told")
	}
	tm.processOf(old.workers[0]).exit(process.Exit{Status: 30})
	tm.zygoteOf(old).exit(process.Exit{})
	tm.turn("all have gone", func() bool { return tm.finished() })
}

func TestTheSameSignalWithinASecondCountsOnce(t *testing.T) {
	tm := newTestMaster(t, 1)
	now := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return now }
	g := tm.start()
	p := tm.processOf(g.workers[0])
	tm.handle(syscall.SIGTERM)
	now = now.Add(900 * time.Millisecond)
	tm.handle(syscall.SIGTERM)
	if received(p, syscall.SIGKILL) || !received(p, syscall.SIGTERM) {
		t.Fatalf("twice in 0.9 s: %v", p.sent)
	}
	now = now.Add(200 * time.Millisecond)
	tm.handle(syscall.SIGTERM)
	if !received(p, syscall.SIGKILL) {
		t.Fatalf("again later: %v", p.sent)
	}
}
