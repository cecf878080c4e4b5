package master

import (
	"testing"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
)

func TestOverdueIsABusyCorePastItsDeadline(t *testing.T) {
	const now = int64(1000 * time.Second)
	for _, c := range []struct {
		name           string
		state          uint32
		deadline, user int64
		want           int
	}{
		{"none set", shm.Busy, 0, 0, -1},
		{"not yet", shm.Busy, now + 1, now + 1, -1},
		{"now", shm.Busy, now, 0, 1},
		{"long ago", shm.Busy, 1, 0, 1},
		{"the application's own", shm.Busy, now + 1, now - 1, 1},
		{"idle since", shm.Idle, now - 1, now - 1, -1},
	} {
		g := testGeneration(t, 2, 2)
		core := g.board.Core(2, 1)
		core.State.Store(c.state)
		core.Deadline.Store(c.deadline)
		core.UserDeadline.Store(c.user)
		if got := overdue(g.board, 2, now); got != c.want {
			t.Errorf("%s: core %d, want %d", c.name, got, c.want)
		}
		if got := overdue(g.board, 1, now); got != -1 {
			t.Errorf("%s: another worker's core %d", c.name, got)
		}
	}
}

func TestNothingIsLeftOnTheBoardOfAWorkerThatHasEnded(t *testing.T) {
	g := testGeneration(t, 1, 2)
	core := g.board.Core(1, 1)
	core.State.Store(shm.Busy)
	core.PID.Store(4711)
	core.Deadline.Store(1)
	g.clearBoard(1)
	if core.State.Load() != shm.Absent || core.PID.Load() != 0 || core.Deadline.Load() != 0 {
		t.Errorf("state %d, pid %d, deadline %d", core.State.Load(), core.PID.Load(), core.Deadline.Load())
	}
}

// The deadlines are the kernel's monotonic clock's, as a worker writes them: whatever the
// time of day is, it plays no part.
func TestHarakiriStrikesAtTheDeadlineAndNotBefore(t *testing.T) {
	g := testGeneration(t, 1, 1)
	w, now := g.workers[0], time.Now()
	child := (&fakeOS{children: map[int]*fakeProcess{}}).start()
	w.Order(1, now.Add(time.Minute))
	w.Adopt(child, now)
	core := g.board.Core(1, 0)
	core.Since.Store(monotime.Now())
	core.Deadline.Store(monotime.At(now.Add(30 * time.Second)))
	core.State.Store(shm.Busy)
	g.harakiri(w, &w.seat, now.Add(29*time.Second))
	if child.gone || w.harakiris != 0 {
		t.Fatal("a second too early")
	}
	g.harakiri(w, &w.seat, now.Add(30*time.Second))
	if !child.gone || w.harakiris != 1 {
		t.Fatal("not at the deadline")
	}
}
