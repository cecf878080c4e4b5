package master

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/master/cheaper"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

func TestEveryAlgorithmThatTheOptionNamesIsThere(t *testing.T) {
	for _, name := range uwsgiopts.CheaperAlgos {
		if _, known := cheaper.New(name, cheaper.Settings{Least: 1}); !known {
			t.Errorf("--cheaper-algo %s has no policy", name)
		}
	}
}

func TestThePolicySeesTheScoreboard(t *testing.T) {
	g := testGeneration(t, 5, 2)
	now := time.Unix(100, 0)
	for i, state := range []process.State{process.Ready, process.Starting, process.Ready, process.Ready, process.Leaving} {
		occupy(g.workers[i], state, i+1)
	}
	g.workers[2].cheap = true // and still in a request
	for _, id := range []int{3, 4} {
		core := g.board.Core(id, 1)
		core.Micros.Store(2_000_000)
		core.Since.Store(monotime.At(now.Add(-3 * time.Second)))
		core.State.Store(shm.Busy)
	}
	s := g.situation(now)
	var states []cheaper.State
	for _, w := range s.Workers {
		states = append(states, w.State)
	}
	if want := []cheaper.State{cheaper.Idle, cheaper.Starting, cheaper.Cheap, cheaper.Busy, cheaper.Starting}; !slices.Equal(states, want) {
		t.Errorf("states are %v, want %v", states, want)
	}
	if got := s.Workers[3].InRequests; got != 5*time.Second {
		t.Errorf("2 s done and 3 s in hand are %v", got)
	}
}

func TestAReloadKeepsTheCrewThatTheLoadHasMade(t *testing.T) {
	g := testGeneration(t, 6, 1)
	cfg := &uwsgiopts.Config{Processes: 5, CheaperConfig: uwsgiopts.CheaperConfig{Cheaper: 1, CheaperInitial: 2}}
	if n := g.m.countInitialWorkers(cfg); n != 2 {
		t.Errorf("a reload that brings --cheaper in starts %d workers", n)
	}
	g.cheapening = newCheapening(cfg)
	g.workers[5].cheap, g.workers[4].cheap = true, true
	if n := g.m.countInitialWorkers(cfg); n != 4 {
		t.Errorf("a reload with 4 workers starts %d", n)
	}
	g.workers[5].cheap, g.workers[4].cheap = false, false
	if n := g.m.countInitialWorkers(cfg); n != 5 {
		t.Errorf("more workers than processes: %d", n)
	}
	g.asleep = true
	if n := g.m.countInitialWorkers(cfg); n != 2 {
		t.Errorf("a sleeping generation wakes %d workers", n)
	}
	if n := g.m.countInitialWorkers(&uwsgiopts.Config{Processes: 3}); n != 3 {
		t.Errorf("without --cheaper %d of 3 start", n)
	}
}

func TestAReadableDescriptorMakesOneEvent(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	events := make(chan event)
	watch, err := watchReadable([]int{pipe[0]}, events, func(*master) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	<-events
	watch.close()

	// The owner of the events ends a watch that has found something without taking the event.
	if watch, err = watchReadable([]int{pipe[0]}, events, func(*master) {}); err != nil {
		t.Fatal(err)
	}
	watch.close()
	var none *readableWatch
	none.close()
}
