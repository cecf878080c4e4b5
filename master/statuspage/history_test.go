package statuspage

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"envoxyd/master/stats"
)

func TestHistoryForgetsTheOldest(t *testing.T) {
	var h history
	for i := range historyLength + 5 {
		h.add(point{at: time.Unix(int64(i), 0)})
	}
	all := h.until(h.noted - 1)
	if len(all) != historyLength || all[0].at.Unix() != 5 || all[len(all)-1].at.Unix() != historyLength+4 {
		t.Errorf("%d points from %d to %d", len(all), all[0].at.Unix(), all[len(all)-1].at.Unix())
	}
	if all := h.until(10); len(all) != 6 || all[5].at.Unix() != 10 {
		t.Errorf("%d points up to number 10", len(all))
	}
	if all := h.until(2); len(all) != 1 {
		t.Errorf("%d points up to one that is forgotten", len(all))
	}
}

func TestNumbers(t *testing.T) {
	text, err := json.Marshal([]number{0, 1.23456789, 1e7, 0.0000123456, number(math.NaN()), number(math.Inf(1))})
	if want := "[0,1.2346,1e+07,1.2346e-05,null,null]"; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

func TestAPointIsWhatHasHappenedSinceTheOneBefore(t *testing.T) {
	var first, second stats.Snapshot
	first.Life.Requests, first.Life.Responses, first.Life.Harakiris, first.Life.Respawns = 100, [6]uint64{0, 0, 90, 0, 6, 4}, 2, 5
	second.Life.Requests, second.Life.Responses, second.Life.Harakiris, second.Life.Respawns = 120, [6]uint64{0, 0, 96, 0, 14, 10}, 3, 7
	second.Life.Reloads, second.Life.FailedReloads = 1, 2
	first.Life.Latency.Note(time.Minute)
	second.Life.Latency.Note(time.Minute)
	second.Life.Latency.Note(10 * time.Millisecond)
	second.Sockets = []stats.Socket{{Queue: 3}, {Queue: 7}}
	second.Events = &stats.Events{EventCounts: stats.EventCounts{Handled: 8, Failed: 2}}
	second.Workers = []stats.Worker{
		{PID: 1, Status: stats.Busy, Cores: []stats.Core{{Request: &stats.Request{}}, {Request: &stats.Request{}}}},
		{PID: 2, Status: stats.Idle}, {Status: stats.Cheap},
	}
	at := time.Unix(100, 0)
	before, now := countedBy(&first, at), countedBy(&second, at.Add(2*time.Second))
	got := newPoint(&second, &before, &now)
	want := point{
		at: now.at, requests: 10, clientErrors: 4, serverErrors: 3, events: 5, p50: got.p50, p95: got.p95, p99: got.p99, wait: got.wait,
		queue: 7, busy: 1, workers: 2, inHand: 2, harakiris: 1, respawns: 2, reloads: 1, failedReloads: 2,
	}
	if got.p50 < 0.009 || got.p99 > 0.012 || !math.IsNaN(got.wait) {
		t.Errorf("p50 %v, p99 %v, wait %v", got.p50, got.p99, got.wait)
	}
	got.wait, want.wait = 0, 0
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if p := newPoint(&second, &counted{}, &now); !math.IsNaN(p.requests) || p.harakiris != 0 || p.queue != 7 {
		t.Errorf("the first point: %+v", p)
	}
	if p := newPoint(&first, &now, &counted{at: now.at.Add(time.Second), life: first.Life}); p.requests != 0 || p.harakiris != 0 {
		t.Errorf("counters that have gone back: %+v", p)
	}
}

func TestTheLastMinute(t *testing.T) {
	var r recent
	var s stats.Snapshot
	for i := range 130 {
		s.Life.Requests += 10
		s.Life.Responses[2] += 9
		s.Life.Responses[5]++
		took := 10 * time.Millisecond
		if i < 60 {
			took = time.Second
		}
		for range 10 {
			s.Life.Latency.Note(took)
		}
		s.Workers = []stats.Worker{{ID: 1, Counters: stats.Counters{Requests: s.Life.Requests}}}
		now := time.Unix(int64(i), 0)
		r.add(countedBy(&s, now), &s)
		if rate := r.rates(&s, now)[1]; i > 20 && rate != 10 {
			t.Fatalf("%v requests a second of the worker", rate)
		}
	}
	m := r.summary()
	if m.seconds < 59 || m.seconds > 66 || m.requests != 10 || m.errors5 != m.answered/10 || m.p99 > 0.02 {
		t.Errorf("%+v", m)
	}
}

func TestProcessorTime(t *testing.T) {
	for _, one := range []struct {
		stat string
		want time.Duration
	}{
		{"7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 9 1 1", 3 * time.Second},
		{"7 (a) S 1", 0},
		{"", 0},
		{"7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 x 50 0", 0},
	} {
		if got := processorTime([]byte(one.stat)); got != one.want {
			t.Errorf("%q: %v, want %v", one.stat, got, one.want)
		}
	}
}
