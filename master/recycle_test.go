package master

import (
	"syscall"
	"testing"
	"time"

	"envoxyd/master/process"
)

// TestWorkersDoNotRetireTogether: --max-worker-lifetime ends one at a time, and the last one not before another serves.
func TestWorkersDoNotRetireTogether(t *testing.T) {
	tm := newTestMaster(t, 3)
	tm.cfg.MaxWorkerLifetime = time.Minute
	now := time.Unix(1000, 0)
	tm.sys.now = func() time.Time { return now }
	g := tm.start()
	late := now.Add(2 * time.Minute)
	g.retireOld(now.Add(time.Minute))
	for _, w := range g.workers {
		if p := tm.processOf(w); len(p.sent) != 0 {
			t.Fatalf("worker %d was told %v before its time", w.ID, p.sent)
		}
	}
	leaving := func() (n int) {
		for _, w := range g.workers {
			if w.Is(process.Leaving) {
				n++
			}
		}
		return n
	}
	for want := 1; want <= 2; want++ {
		if g.retireOld(late); leaving() != want {
			t.Fatalf("%d leave, not %d", leaving(), want)
		}
	}
	if g.retireOld(late); leaving() != 2 {
		t.Fatal("the last one leaves too")
	}
	first := g.workers[0]
	tm.processOf(first).exit(process.Exit{Status: 17})
	tm.turn("its place is filled", func() bool { return first.Is(process.Ordered) })
	if g.retireOld(late); leaving() != 1 {
		t.Fatal("the last one leaves before the successor is ready")
	}
	tm.fork(g, first)
	if g.retireOld(first.Started().Add(time.Second)); leaving() != 1 {
		t.Fatal("a young one leaves")
	}
	if g.retireOld(late); !received(tm.processOf(g.workers[2]), syscall.SIGHUP) && !received(tm.processOf(first), syscall.SIGHUP) {
		t.Fatal("nobody leaves although others serve")
	}
}

// TestAWorkerStaysWhereNobodyCouldReplaceIt: there is no zygote at the moment.
func TestAWorkerStaysWhereNobodyCouldReplaceIt(t *testing.T) {
	tm := newTestMaster(t, 2)
	tm.cfg.MaxWorkerLifetime = time.Minute
	g := tm.start()
	tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("the zygote is lost", tm.lostZygote)
	g.retireOld(tm.sys.now().Add(time.Hour))
	for _, w := range g.workers {
		if p := tm.processOf(w); len(p.sent) != 0 {
			t.Errorf("worker %d was told %v", w.ID, p.sent)
		}
	}
}
