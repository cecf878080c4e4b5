package master

import (
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/master/process"
)

// TestWhatAsksForACloseLook starts from an idle service and changes one thing in it.
func TestWhatAsksForACloseLook(t *testing.T) {
	for what, change := range map[string]func(tm *testMaster, g *generation){
		"heartbeats":         func(tm *testMaster, _ *generation) { tm.cfg.Heartbeat = time.Second },
		"a request in hand":  func(_ *testMaster, g *generation) { g.board.Core(1, 0).State.Store(shm.Busy) },
		"a stop":             func(tm *testMaster, _ *generation) { tm.master.stop() },
		"a start":            func(tm *testMaster, _ *generation) { tm.master.life.starting = true },
		"a reload":           func(tm *testMaster, _ *generation) { tm.master.reloads.preparing = true },
		"an old generation":  func(tm *testMaster, g *generation) { tm.old = append(tm.old, g) },
		"a worker that goes": func(_ *testMaster, g *generation) { g.dismiss(&g.workers[0].seat) },
	} {
		t.Run(what, func(t *testing.T) {
			tm := newTestMaster(t, 1)
			g := tm.start()
			if !tm.calm() {
				t.Fatal("an idle service asks for a close look")
			}
			change(tm, g)
			if tm.calm() {
				t.Error("it is looked at once a second alone")
			}
		})
	}
}

func TestDeadlinesOfWhatIsIdleAskForNothing(t *testing.T) {
	tm, g := withMules(t, 1)
	tm.cfg.Harakiri, tm.cfg.Heartbeat = time.Second, 10*time.Second
	mule := g.auxiliaries[0]
	if !tm.calm() {
		t.Errorf("all is idle (the mule is %v), and it is looked at closely", mule.State())
	}
	g.lines.Line(mule.Row).Deadline.Store(1)
	if tm.calm() {
		t.Error("a mule has a deadline, and it is looked at once a second alone")
	}
}

// Where signals are raised each millisecond, a worker is idle and busy in turns as often.
func TestSweepsAreNotPutOffByAStateThatKeepsChanging(t *testing.T) {
	tm := newTestMaster(t, 1)
	state := &tm.start().board.Core(1, 0).State
	p := newPace()
	defer p.Stop()
	changes := time.NewTicker(tick / 50)
	defer changes.Stop()
	end := time.After(20 * slowTick)
	for fires := 0; fires < 3; {
		select {
		case now := <-p.C:
			p.fired(now)
			fires++
		case <-changes.C:
			state.Store(shm.Busy - state.Load() + shm.Idle)
			p.follow(tm.master)
		case <-end:
			t.Fatalf("%d sweeps in %v", fires, 20*slowTick)
		}
	}
}

func TestAWorkerThatComesUpIsLookedAtClosely(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	tm.processOf(g.workers[0]).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another worker is ordered", func() bool { return g.workers[0].Is(process.Ordered) })
	if tm.calm() {
		t.Error("an order is in hand, and it is looked at once a second alone")
	}
	tm.fork(g, g.workers[0])
	if !tm.calm() {
		t.Error("all workers are ready again, and it is looked at closely")
	}
}
