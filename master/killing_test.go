package master

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
)

func TestCallsEndBeforeTheirWorkerIsKilled(t *testing.T) {
	for name, answers := range map[string]bool{"it gives them up": true, "it is stuck": false} {
		t.Run(name, func(t *testing.T) {
			tm := newTestMaster(t, 1)
			began := time.Now()
			now := began
			tm.sys.now = func() time.Time { return now }
			g := tm.start()
			w := g.workers[0]
			core, p := g.board.Core(1, 0), tm.processOf(w)
			core.Calls.Store(1)
			core.State.Store(shm.Busy)
			core.Deadline.Store(1)
			g.harakiri(w, &w.seat, now)
			if want := []syscall.Signal{workerspec.EndCalls}; !slices.Equal(p.sent, want) {
				t.Fatalf("it got %v, want %v", p.sent, want)
			}
			if answers {
				core.Calls.Store(0)
			} else {
				now = now.Add(2 * callsTime)
			}
			tm.turn("it is killed", func() bool { return received(p, syscall.SIGKILL) })
			tm.turn("it is gone", func() bool { return w.PID() != p.pid })
			if core.Calls.Load() != 0 {
				t.Error("the next one in its place begins with calls")
			}
		})
	}
}

func TestAWorkerWithoutCallsIsKilledAtOnce(t *testing.T) {
	tm := newTestMaster(t, 1)
	g := tm.start()
	p := tm.processOf(g.workers[0])
	g.killProcess(&g.workers[0].seat)
	if want := []syscall.Signal{syscall.SIGKILL}; !slices.Equal(p.sent, want) {
		t.Errorf("it got %v, want %v", p.sent, want)
	}
}
