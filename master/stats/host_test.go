package stats

import (
	"context"
	"sync"
	"testing"
	"time"
)

// fakeHost is the owner of a state that never changes. What work beside it returns waits in
// results; questions are answered unless it is silent.
type fakeHost struct {
	t       *testing.T
	ctx     context.Context
	running sync.WaitGroup
	results chan func()
	asked   chan struct{} // holds one for each question
	silent  bool
}

func newHost(t *testing.T) *fakeHost {
	ctx, end := context.WithCancel(context.Background())
	h := &fakeHost{t: t, ctx: ctx, results: make(chan func(), 8), asked: make(chan struct{}, 8)}
	t.Cleanup(func() { end(); h.running.Wait() })
	return h
}

func (h *fakeHost) Snapshot() *Snapshot { return sample() }

func (h *fakeHost) Ask(ctx context.Context) *Snapshot {
	h.asked <- struct{}{}
	if h.silent {
		<-ctx.Done()
		return nil
	}
	return sample()
}

func (h *fakeHost) Beside(work func(context.Context) (then func())) {
	h.running.Go(func() { h.results <- work(h.ctx) })
}

func (h *fakeHost) Logf(format string, args ...any) { h.t.Logf(format, args...) }

// sample is a state with something of everything. Its processes do not exist.
func sample() *Snapshot {
	at := time.Unix(1_700_000_000, 0)
	request := &Request{Addr: "10.0.0.1", Method: "GET", URI: "/a?b=<c>&d", Since: at.Add(time.Minute)}
	first := Counters{Requests: 6, Static: 1, Exceptions: 2, WriteErrors: 3, ReadErrors: 4, Sent: 500, RunningTime: 1500 * time.Millisecond}
	second := Counters{Requests: 4, Sent: 200, RunningTime: 500 * time.Millisecond}
	both := first
	both.Add(second)
	other := Counters{Requests: 6, Sent: 300, RunningTime: 1200 * time.Millisecond}
	return &Snapshot{
		Version: "2.1.0", PID: 10, UID: 33, GID: 34, Dir: "/srv/<app>",
		App:     App{Chdir: "/srv/<app>/sub", LoadTime: 2700 * time.Millisecond},
		Sockets: []Socket{{Name: "127.0.0.1:80", Protocol: "http", Shared: true, Queue: 4, MaxQueue: 100}, {Name: "u.sock", Protocol: "uwsgi"}},
		Workers: []Worker{
			{ID: 1, PID: 1 << 30, Status: Busy, Accepting: true, Harakiris: 1, Counters: both, Delta: 3, Started: at, Starts: 5,
				RSS: 30, VSZ: 60, USS: 10, PSS: 20, Cores: []Core{{ID: 0, Counters: first}, {ID: 1, Counters: second, Request: request}}},
			{ID: 2, PID: 1<<30 + 1, Status: Idle, Counters: other, Delta: 6, Started: at.Add(time.Second), Starts: 1, RSS: 10, VSZ: 20,
				Cores: []Core{{ID: 0, Counters: other}, {ID: 1}}},
			{ID: 3, Status: Cheap, Cores: []Core{{ID: 0}, {ID: 1}}},
		},
		Daemons: []Daemon{{Command: "sleep 100 & true", PID: 20, Respawns: 1}, {Command: "false"}},
		Crons: []Cron{
			{When: [5]int{-5, -1, -1, -1, 0}, Command: "true", Unique: true},
			{When: [5]int{0, 4, 1, 12, -1}, Command: "backup", PID: 30, Started: at},
		},
		Locks: []Lock{{Name: "user 0"}, {Name: "user 1", Holder: 1}},
	}
}
