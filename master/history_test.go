package master

import (
	"testing"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

func TestCountsSurviveReloads(t *testing.T) {
	tm := newTestMaster(t, 1)
	count := func(g *generation, requests uint64) {
		g.board.Core(1, 0).Requests.Store(requests)
		g.board.Timing(1, 0).Note(200, 10, 20)
	}
	count(tm.start(), 5)
	for round := uint64(1); round <= 3; round++ {
		old := tm.master.current
		tm.reload(false)
		tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
		tm.comeUp(tm.master.next)
		count(tm.master.current, 2)
		for _, leaves := range []bool{true, false} { // while the old generation leaves, and when it has gone
			life := tm.snapshot().Life
			if life.Requests != 5+2*round || life.Responses[2] != 1+round || life.Latency.Count() != 1+round || life.Reloads != round {
				t.Errorf("reload %d: %d requests, %d responses, %d reloads", round, life.Requests, life.Responses[2], life.Reloads)
			}
			if !leaves {
				break
			}
			tm.processOf(old.workers[0]).exit(process.Exit{Status: 17})
			tm.zygoteOf(old).exit(process.Exit{})
			tm.turn("the old generation goes", func() bool { return len(tm.old) == 0 })
		}
	}
}

func TestReloadsAreRemembered(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.start()
	for range keptReloads + 2 {
		tm.reload(false)
		tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
		g := tm.master.next
		tm.say(g, workerspec.Event{Kind: "failed", Status: 22})
		tm.zygoteOf(g).exit(process.Exit{Status: 22})
		tm.turn("it is given up", func() bool { return tm.master.next == nil })
		tm.turn("it goes", func() bool { return len(tm.old) == 0 })
	}
	s := tm.snapshot()
	if len(s.Reloads) != keptReloads || s.Life.FailedReloads != keptReloads+2 || s.Life.Reloads != 0 {
		t.Fatalf("%d are remembered, %d have failed, %d have not", len(s.Reloads), s.Life.FailedReloads, s.Life.Reloads)
	}
	if last := s.Reloads[keptReloads-1]; last.Problem == "" || last.At.IsZero() {
		t.Errorf("the last one: %+v", last)
	}
}
