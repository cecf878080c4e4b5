package shm

import (
	"testing"
	"time"

	"envoxyd/internal/latency"
)

func TestRowsBesideThoseOfWorkers(t *testing.T) {
	plain, err := NewBoard(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if plain.Rows() != 3 || plain.Spare() != 0 || plain.Past(1) != 0 {
		t.Errorf("%d rows, spare %d, past %d", plain.Rows(), plain.Spare(), plain.Past(1))
	}
	b, err := NewBoardWithSpare(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Spare() != 4 || b.Past(1) != 5 || b.Past(3) != b.Rows() {
		t.Errorf("%d rows, spare %d, past %d to %d", b.Rows(), b.Spare(), b.Past(1), b.Past(3))
	}
	for row, want := range []uint32{1, 2, 3, 0, 1, 2, 3} {
		if got := b.Core(row+1, 0).Worker.Load(); got != want {
			t.Errorf("row %d is worker %d's, not %d's", row+1, got, want)
		}
	}
}

func TestCountsAreFolded(t *testing.T) {
	b, err := NewBoardWithSpare(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	spare, past := b.Spare(), b.Past(1)
	for round := 1; round <= 2; round++ {
		for core := range 2 {
			for i, counter := range b.Core(spare, core).counters() {
				counter.Store(uint64(i + core + 1))
			}
		}
		b.Timing(spare, 1).Note(404, 5, 1000*int64(round))
		b.Timing(spare, 1).Events.Note(7)
		b.Fold(spare, past)
		var requests, events latency.Histogram
		b.Timing(past, 1).Application.AddTo(&requests)
		b.Timing(past, 1).Events.AddTo(&events)
		if n := b.Timing(past, 1).Responses[4].Load(); n != uint64(round) || int(requests.Count()) != round || int(events.Count()) != round {
			t.Errorf("round %d: %d responses, %d requests, %d events were folded", round, n, requests.Count(), events.Count())
		}
		if b.Timing(spare, 1).Responses[4].Load() != 0 {
			t.Errorf("round %d: the response is counted twice", round)
		}
		for core := range 2 {
			left, sums := b.Core(spare, core).counters(), b.Core(past, core).counters()
			for i := range sums {
				if left[i].Load() != 0 || sums[i].Load() != uint64(round*(i+core+1)) {
					t.Errorf("round %d, core %d, counter %d: %d left, %d in all", round, core, i, left[i].Load(), sums[i].Load())
				}
			}
		}
	}
}

func TestProcessesOfARowAreCounted(t *testing.T) {
	b, err := NewBoardWithSpare(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for pid := range 3 {
		b.Adopted(b.Spare(), 100+pid, time.Unix(1700, 0))
	}
	first := b.Core(b.Spare(), 0)
	if first.PID.Load() != 102 || first.Spawned.Load() != 1700 || first.Starts.Load() != 3 {
		t.Errorf("pid %d, spawned %d, %d starts", first.PID.Load(), first.Spawned.Load(), first.Starts.Load())
	}
	b.Fold(b.Spare(), b.Past(1))
	if first.Starts.Load() != 0 || b.Core(b.Past(1), 0).Starts.Load() != 3 {
		t.Errorf("%d starts left, %d folded", first.Starts.Load(), b.Core(b.Past(1), 0).Starts.Load())
	}
}

// TestWhoIsIdle: what is counted behind the lines is not taken for the state of a core.
func TestWhoIsIdle(t *testing.T) {
	b, err := NewBoard(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for row := 1; row <= 2; row++ {
		for core := range 2 {
			b.Core(row, core).State.Store(Busy)
			for at := time.Microsecond; at < time.Hour; at += at / 20 { // 1 is Idle in a line
				b.Timing(row, core).Note(200, int64(at), int64(at))
			}
		}
	}
	if b.IdleElsewhere(b.Core(1, 0)) || b.IdleInOthers(1) {
		t.Error("somebody is idle where all are busy")
	}
	b.Core(2, 1).State.Store(Idle)
	if !b.IdleElsewhere(b.Core(1, 0)) || b.IdleInOthers(1) {
		t.Error("a process with a busy core is idle, or its other core is not")
	}
	b.Core(2, 0).State.Store(Idle)
	if !b.IdleInOthers(1) || b.IdleInOthers(2) {
		t.Error("the process of row 2 alone is idle")
	}
}
