package master

import (
	"testing"
	"time"

	"envoxyd/internal/shm"
)

func TestIdleWorkersLeaveWhenTheirTimeHasPassed(t *testing.T) {
	g := testGeneration(t, 1, 1)
	g.cfg.Idle = 10 * time.Second
	w, core, now := g.workers[0], g.board.Core(1, 0), time.Now()
	asleep := func(after time.Duration) bool {
		g.m.checkIdleness(now.Add(after))
		return g.asleep
	}
	if asleep(0) || asleep(10*time.Second) {
		t.Fatal("asleep too early")
	}
	core.State.Store(shm.Busy)
	if asleep(11 * time.Second) {
		t.Fatal("asleep in a request")
	}
	core.State.Store(shm.Idle)
	core.Requests.Add(1)
	if asleep(12*time.Second) || asleep(22*time.Second) {
		t.Fatal("asleep too early after a request")
	}
	if !asleep(22*time.Second+1) || !w.cheap {
		t.Fatal("awake after more than 10 seconds")
	}
	g.m.stopWatching()
}
