package worker

import (
	"testing"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
)

func TestTheScoreboardsTimesAreTheMonotonicClocks(t *testing.T) {
	s := newStage(t, "http", func(spec *workerspec.Spec) { spec.Limits.HarakiriSeconds = 60 })
	before := monotime.Now()
	s.send(s.connect(), get)
	s.request()
	s.slot.userHarakiri(30)
	after := monotime.Now()
	line := s.slot.line
	for _, c := range []struct {
		name  string
		value int64
		ahead time.Duration
	}{
		{"since", line.Since.Load(), 0},
		{"deadline", line.Deadline.Load(), 60 * time.Second},
		{"user deadline", line.UserDeadline.Load(), 30 * time.Second},
	} {
		if at := c.value - int64(c.ahead); at < before || at > after {
			t.Errorf("%s: %d, which is not between %d and %d", c.name, at, before, after)
		}
	}
}

func TestTheLogShowsTheTimeOfDay(t *testing.T) {
	s := newStage(t, "http", func(spec *workerspec.Spec) { spec.Log.Requests = true })
	before := time.Now()
	s.send(s.connect(), get)
	s.request()
	s.answer(okReply)
	s.slot.finish()
	r := &s.slot.record
	if start := time.Unix(0, r.Start); start.Before(before.Round(0)) || start.After(time.Now()) || r.End < r.Start {
		t.Errorf("the request began at %v and ended at %v", start, time.Unix(0, r.End))
	}
}

func TestAWorkerIsRecycledWhenItHasLivedLongEnough(t *testing.T) {
	s := newStage(t, "http", func(spec *workerspec.Spec) {
		spec.Limits.MaxRequests, spec.Limits.MinLifetimeSeconds = 1, 60
	})
	for _, c := range []struct {
		age   time.Duration
		phase int32
	}{{0, serving}, {60*time.Second - 1, serving}, {60 * time.Second, reloading}} {
		s.w.requestDone(s.w.started + int64(c.age))
		if phase := s.w.phase.Load(); phase != c.phase {
			t.Errorf("at %v its phase is %d, want %d", c.age, phase, c.phase)
		}
	}
}

func TestACoreAcceptsAgainAfterAPause(t *testing.T) {
	s := newStage(t, "http", nil)
	s.w.reactor.pauseAccepting()
	now := monotime.Now()
	for _, c := range []struct {
		after     time.Duration
		accepting bool
	}{{0, false}, {acceptPause + time.Second, true}} {
		s.w.reactor.now = now + int64(c.after)
		s.w.reactor.sweep()
		if s.w.reactor.accepting != c.accepting {
			t.Errorf("after %v it accepts: %v", c.after, s.w.reactor.accepting)
		}
	}
}
