package master

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
	"unsafe"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/master/sockets"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// testGeneration is a generation without processes.
func testGeneration(t *testing.T, processes, threads int) *generation {
	t.Helper()
	board, err := shm.NewBoard(processes, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	g := &generation{m: &master{cfg: &uwsgiopts.Config{}, events: make(chan event), sys: system{now: time.Now}}, cfg: &uwsgiopts.Config{}, board: board}
	for id := 1; id <= processes; id++ {
		g.workers = append(g.workers, newWorker(id, false))
	}
	zygote := &fakeProcess{pid: 1 << 22, end: make(chan process.Exit, 1)}
	g.zygote = process.NewZygote(zygote, &fakeOrders{zygote: zygote})
	g.zygote.Loaded()
	g.m.current = g
	g.m.newDaemons()
	return g
}

func TestSnapshotOfAWorker(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(g *generation, w *worker)
		check   func(s stats.Worker) bool
	}{
		{"no process", func(*generation, *worker) {}, func(s stats.Worker) bool {
			return s.Status == stats.Cheap && s.PID == 0 && !s.Accepting && s.Starts == 0 && s.Started.IsZero() && len(s.Cores) == 2
		}},
		{"starting", func(_ *generation, w *worker) { occupy(w, process.Starting, 7) }, func(s stats.Worker) bool {
			return s.Status == stats.Idle && s.PID == 7 && !s.Accepting && s.Starts == 1 && !s.Started.IsZero()
		}},
		{"idle", func(_ *generation, w *worker) { occupy(w, process.Ready, 7) }, func(s stats.Worker) bool {
			return s.Status == stats.Idle && s.PID == 7 && s.Accepting && s.Starts == 1
		}},
		{"busy", func(g *generation, w *worker) {
			occupy(w, process.Ready, 7)
			core := g.board.Core(w.ID, 1)
			core.Since.Store(monotime.Now())
			core.State.Store(shm.Busy)
		}, func(s stats.Worker) bool {
			return s.Status == stats.Busy && s.Cores[0].Request == nil && s.Cores[1].Request != nil
		}},
		{"cheaped", func(_ *generation, w *worker) {
			occupy(w, process.Leaving, 7)
			w.Ended(7, time.Now())
		}, func(s stats.Worker) bool {
			return s.Status == stats.Cheap && s.PID == 0 && s.Starts == 1 && !s.Started.IsZero()
		}},
		{"respawned", func(g *generation, w *worker) {
			g.board.Core(w.ID, 0).Requests.Store(5)
			w.servedBefore = g.requests(w)
			g.board.Core(w.ID, 1).Requests.Store(2)
			occupy(w, process.Ready, 7)
			w.Ended(7, time.Now())
			w.harakiris++
			occupy(w, process.Starting, 8)
		}, func(s stats.Worker) bool {
			return s.Requests == 7 && s.Delta == 2 && s.Starts == 2 && s.Harakiris == 1 && s.PID == 8
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := testGeneration(t, 1, 2)
			test.prepare(g, g.workers[0])
			if s := g.snapshot(g.workers[0]); !test.check(s) {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestSnapshotOfEverythingElse(t *testing.T) {
	g := testGeneration(t, 2, 1)
	m := g.m
	m.cfg = &uwsgiopts.Config{StartDir: "/srv/app", Chdir: "sub", MemoryReport: 2}
	g.cfg, g.loadTime = m.cfg, 3*time.Second
	m.sockets = []*sockets.Socket{
		{Name: "s.stats", Protocol: sockets.Stats, FD: -1},
		{Name: "s.prometheus", Protocol: sockets.Prometheus, FD: -1},
		{Key: "=0", Name: "127.0.0.1:80", Protocol: "http-router", FD: -1},
		{Name: "u.sock", Protocol: "uwsgi", FD: -1},
	}
	ended := uwsgiopts.Cron{When: [5]int{-5, -1, -1, -1, 0}, Command: "true", Unique: true}
	runs := uwsgiopts.Cron{Command: "sleep 9"}
	m.jobs.crons = crons{{Cron: ended, pid: -1, last: time.Unix(60, 0)}, {Cron: runs, pid: 99, last: time.Unix(120, 0)}}
	s := m.snapshot()
	if s.Version != uwsgiopts.Version || s.PID != os.Getpid() || s.Dir != "/srv/app" || s.Memory != stats.Shares || len(s.Workers) != 2 {
		t.Errorf("%+v", s)
	}
	if want := (stats.App{Chdir: "/srv/app/sub", LoadTime: 3 * time.Second}); s.App != want {
		t.Errorf("application %+v, want %+v", s.App, want)
	}
	if want := []stats.Socket{{Name: "127.0.0.1:80", Protocol: "http", Shared: true}, {Name: "u.sock", Protocol: "uwsgi"}}; !slices.Equal(s.Sockets, want) {
		t.Errorf("sockets %+v, want %+v", s.Sockets, want)
	}
	if len(s.Locks) != 0 {
		t.Errorf("locks %+v without memory for them", s.Locks)
	}
	want := []stats.Cron{{When: ended.When, Command: "true", Unique: true}, {Command: "sleep 9", PID: 99, Started: time.Unix(120, 0)}}
	if !slices.Equal(s.Crons, want) {
		t.Errorf("crons %+v, want %+v", s.Crons, want)
	}
	m.current = nil
	if s := m.snapshot(); len(s.Workers) != 0 || s.App != (stats.App{}) {
		t.Errorf("%+v without a generation", s)
	}
}

func TestSnapshotShowsWhichLocksAreHeld(t *testing.T) {
	g := testGeneration(t, 1, 1)
	m := g.m
	m.cfg.Locks = 2
	var err error
	if m.owned.resources, err = resources.Open(func(string) int { return -1 }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.owned.resources.Close() })
	holders := func() (all []int) {
		for number, lock := range m.snapshot().Locks {
			if want := fmt.Sprintf("user %d", number); lock.Name != want {
				t.Errorf("lock %d is called %q, not %q", number, lock.Name, want)
			}
			all = append(all, lock.Holder)
		}
		return all
	}
	if got, want := holders(), []int{0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("before there are any: held by %v, want %v", got, want)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for number, pid := range map[int]int{1: os.Getpid(), 2: dead.Process.Pid} { // as the C in worker/shared does
		at := int64(shm.LocksOffset + number*shm.LockSize + int(unsafe.Offsetof(shm.Lock{}.Holder)))
		if _, err := m.owned.resources.Locks.WriteAt(binary.NativeEndian.AppendUint32(nil, uint32(pid)), at); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := holders(), []int{0, os.Getpid(), 0}; !slices.Equal(got, want) {
		t.Errorf("held by %v, want %v", got, want)
	}
}

func TestAskingForASnapshot(t *testing.T) {
	g := testGeneration(t, 1, 1)
	host := statsHost{g.m}
	answer := make(chan *stats.Snapshot)
	go func() { answer <- host.Ask(context.Background()) }()
	(<-g.m.events)(g.m)
	if s := <-answer; s == nil || len(s.Workers) != 1 {
		t.Errorf("the loop answered %+v", s)
	}
	ctx, end := context.WithCancel(context.Background())
	go func() { answer <- host.Ask(ctx) }() // no loop takes the question
	end()
	if s := <-answer; s != nil {
		t.Errorf("nobody answered %+v", s)
	}
	ctx, end = context.WithCancel(context.Background())
	go func() { answer <- host.Ask(ctx) }()
	question := <-g.m.events // the loop has it and is busy with something else
	end()
	if s := <-answer; s != nil {
		t.Errorf("a busy loop answered %+v", s)
	}
	question(g.m) // must not wait for who has gone
}
