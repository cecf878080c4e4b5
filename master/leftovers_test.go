package master

import (
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

// leave has the zygote's import leave a process that ends by SIGTERM, if it obeys.
func (tm *testMaster) leave(obey bool) *fakeProcess {
	p := tm.os.start()
	p.obey = obey
	tm.os.orphans = append(tm.os.orphans, p)
	return p
}

// TestWhatAnImportHasForkedEndsWithItsZygote: the zygote ends before it could see to that.
func TestWhatAnImportHasForkedEndsWithItsZygote(t *testing.T) {
	for name, end := range map[string]func(tm *testMaster, g *generation){
		"killed": func(tm *testMaster, g *generation) { tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL}) },
		"exits":  func(tm *testMaster, g *generation) { tm.zygoteOf(g).exit(process.Exit{Status: 3}) },
		"superseded": func(tm *testMaster, g *generation) {
			tm.reload(false)
			tm.giveUpLate(tm.sys.now().Add(time.Hour))
		},
		"stopped": func(tm *testMaster, g *generation) { tm.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			tm := newTestMaster(t, 1)
			now := time.Unix(1000, 0)
			tm.sys.now = func() time.Time { return now }
			tm.start()
			tm.reload(false)
			tm.turn("it loads", func() bool { return tm.master.next != nil })
			g := tm.master.next
			willing, deaf := tm.leave(true), tm.leave(false)
			end(tm, g)
			tm.turn("they are told", func() bool { return received(willing, syscall.SIGTERM) && received(deaf, syscall.SIGTERM) })
			if g.gone() {
				t.Fatal("they are not waited for")
			}
			g.enforce(now.Add(leftoverTime))
			if len(deaf.sent) != 1 {
				t.Fatalf("within the time that they have: %v", deaf.sent)
			}
			g.enforce(now.Add(leftoverTime + 1))
			if !received(deaf, syscall.SIGKILL) || received(willing, syscall.SIGKILL) {
				t.Fatalf("after it: %v and %v", deaf.sent, willing.sent)
			}
			tm.turn("the generation has gone", g.gone)
		})
	}
}

func TestWhatWorkersMayNeedIsLeftUntilTheyHaveGone(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	manager := tm.leave(true)
	tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("another generation loads", func() bool { return tm.master.next != nil })
	g.enforce(tm.sys.now())
	if len(manager.sent) != 0 {
		t.Fatal("ended while workers serve")
	}
	tm.comeUp(tm.master.next)
	tm.processOf(g.workers[0]).exit(process.Exit{Status: 17})
	tm.turn("it is told", func() bool { return received(manager, syscall.SIGTERM) })
}

func TestAZygoteThatEndsInGoodOrderHasSeenToIt(t *testing.T) {
	for _, failed := range []bool{false, true} {
		tm := newTestMaster(t, 1)
		g := tm.start()
		tm.reload(false)
		tm.turn("it loads", func() bool { return tm.master.next != nil })
		next := tm.master.next
		child := tm.leave(true)
		if failed {
			tm.say(next, workerspec.Event{Kind: "failed", Status: 22})
			tm.zygoteOf(next).exit(process.Exit{Status: 22})
			tm.turn("the reload has failed", func() bool { return tm.master.next == nil && next.gone() })
		} else {
			tm.comeUp(next)
			tm.processOf(g.workers[0]).exit(process.Exit{Status: 17})
			tm.turn("the old generation has gone", func() bool { return len(tm.old) == 0 })
		}
		if len(child.sent) != 0 {
			t.Fatalf("failed %v: told %v", failed, child.sent)
		}
	}
}
