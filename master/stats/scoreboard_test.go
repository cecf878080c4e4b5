package stats

import (
	"slices"
	"testing"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
)

func TestAWorkerIsReadFromTheScoreboard(t *testing.T) {
	board, err := shm.NewBoard(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	first, second := board.Core(2, 0), board.Core(2, 1)
	for i, line := range []*shm.Core{first, second} {
		n := uint64(10 * (i + 1))
		line.Requests.Store(n)
		line.Static.Store(n + 1)
		line.Exceptions.Store(n + 2)
		line.WriteErrors.Store(n + 3)
		line.ReadErrors.Store(n + 4)
		line.Sent.Store(n + 5)
		line.Micros.Store(n + 6)
	}
	w := Worker{ID: 2, PID: 7}
	status := func(want Status) {
		t.Helper()
		w.Read(board, []int{w.ID})
		if w.Status != want {
			t.Errorf("the worker is %s, not %s", w.Status, want)
		}
	}
	status(Idle)
	want := Counters{Requests: 30, Static: 32, Exceptions: 34, WriteErrors: 36, ReadErrors: 38, Sent: 40, RunningTime: 42 * time.Microsecond}
	if w.Counters != want || len(w.Cores) != 2 {
		t.Errorf("%d cores count %+v, want %+v", len(w.Cores), w.Counters, want)
	}
	want = Counters{Requests: 20, Static: 21, Exceptions: 22, WriteErrors: 23, ReadErrors: 24, Sent: 25, RunningTime: 26 * time.Microsecond}
	if core := w.Cores[1]; core.ID != 1 || core.Counters != want || core.Request != nil {
		t.Errorf("core %+v, want %+v", core, want)
	}

	board.Timing(2, 0).Note(200, int64(time.Millisecond), int64(time.Second))
	board.Timing(2, 1).Note(503, 0, int64(3*time.Second))
	board.Timing(2, 1).Note(-1, 0, 0)
	status(Idle)
	if w.Responses != [6]uint64{1, 0, 1, 0, 0, 1} || w.Latency.Count() != 3 || w.Latency.Max != 3*time.Second || w.QueueTime.Max != time.Millisecond {
		t.Errorf("responses %v, %d requests, the longest %v after %v", w.Responses, w.Latency.Count(), w.Latency.Max, w.QueueTime.Max)
	}
	var life Life
	life.AddRow(board, 1)
	life.AddRow(board, 2)
	if life.Requests != 30 || life.Responses != w.Responses || life.Latency != w.Latency {
		t.Errorf("in all %d requests, responses %v", life.Requests, life.Responses)
	}

	first.Suspended.Store(1)
	status(Idle)
	second.Suspended.Store(1)
	status(Paused)

	began := time.Now().Add(-time.Hour)
	second.SetRequest([]byte("10.0.0.1"), []byte("GET"), []byte("/a?b=c"))
	second.Since.Store(monotime.At(began))
	second.State.Store(shm.Busy)
	status(Busy)
	request := w.Cores[1].Request
	if request == nil || w.Cores[0].Request != nil {
		t.Fatalf("cores %+v", w.Cores)
	}
	if request.Addr != "10.0.0.1" || request.Method != "GET" || request.URI != "/a?b=c" {
		t.Errorf("request %+v", request)
	}
	if off := request.Since.Sub(began); off < -time.Second || off > time.Second { // one clock's reading turned into the other's
		t.Errorf("it began %v away from when it did", off)
	}
	vars := []string{"REQUEST_METHOD=GET", "PATH_INFO=/a", "REQUEST_URI=/a?b=c", "QUERY_STRING=b=c", "REMOTE_ADDR=10.0.0.1", ""}
	if got := request.vars(); !slices.Equal(got, vars) {
		t.Errorf("variables %q, want %q", got, vars)
	}

	second.State.Store(shm.Absent)
	w.PID = 0
	status(Cheap)
}

func TestTotals(t *testing.T) {
	got := sample().Totals()
	want := Totals{
		Counters:  Counters{Requests: 16, Static: 1, Exceptions: 2, WriteErrors: 3, ReadErrors: 4, Sent: 1000, RunningTime: 3200 * time.Millisecond},
		Harakiris: 1, Starts: 6, RSS: 40, VSZ: 80, Active: 2, Busy: 1, Idle: 1,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if average := got.AverageTime(); average != 200*time.Millisecond {
		t.Errorf("a request takes %v", average)
	}
	if none := (&Counters{RunningTime: time.Second}).AverageTime(); none != time.Second {
		t.Errorf("the first request has taken %v so far", none)
	}
}
