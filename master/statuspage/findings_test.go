package statuspage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/gatewayspec"
	"envoxyd/master/stats"
)

// watch notes states of a service that is well, one for each second, as change makes them.
func watch(p *Page, seconds int, change func(second int, s *stats.Snapshot)) {
	s := &stats.Snapshot{Started: start}
	for i := range seconds {
		now := start.Add(time.Duration(i) * time.Second)
		next := *s
		s = &next
		s.Life.Requests += 100
		s.Life.Responses[2] += 100
		s.Workers = []stats.Worker{{ID: 1, PID: 1 << 30, Status: stats.Idle, Accepting: true}, {ID: 2, PID: 1 << 30, Status: stats.Idle, Accepting: true}}
		s.Sockets = []stats.Socket{{Name: ":80", MaxQueue: 100}}
		if change != nil {
			change(i, s)
		}
		for range 100 {
			s.Life.Latency.Note(10 * time.Millisecond)
			s.Life.QueueTime.Note(time.Millisecond)
		}
		p.Note(s, now)
	}
}

func TestFindings(t *testing.T) {
	busy := func(s *stats.Snapshot, age time.Duration, second int) {
		now := start.Add(time.Duration(second) * time.Second)
		for i := range s.Workers {
			s.Workers[i].Status = stats.Busy
			s.Workers[i].Cores = []stats.Core{{Request: &stats.Request{Method: "GET", URI: "/slow", Since: now.Add(-age)}}}
		}
	}
	for _, one := range []struct {
		name    string
		seconds int
		change  func(second int, s *stats.Snapshot)
		want    []string
	}{
		{"all is well", 300, nil, nil},
		{"busy for a moment", 20, func(i int, s *stats.Snapshot) {
			if i == 19 {
				busy(s, time.Millisecond, i)
				s.Sockets[0].Queue = 1
			}
		}, nil},
		{"busy all the time", 20, func(i int, s *stats.Snapshot) { busy(s, time.Millisecond, i) }, []string{"warn workers All 2 workers are busy all the time."}},
		{"one worker", 20, func(i int, s *stats.Snapshot) { s.Workers = s.Workers[:1]; busy(s, time.Millisecond, i) },
			[]string{"warn workers The only worker is busy all the time."}},
		{"busy, and a queue", 20, func(i int, s *stats.Snapshot) { busy(s, time.Millisecond, i); s.Sockets[0].Queue = 60 },
			[]string{"bad queue All 2 workers are busy all the time. 60 connections wait on :80. There is room for 100."}},
		{"a queue", 20, func(_ int, s *stats.Snapshot) { s.Sockets[0].Queue = 1 }, []string{"warn queue 1 connection waits on :80."}},
		{"a slow request", 20, func(i int, s *stats.Snapshot) { busy(s, 12*time.Second, i); s.Workers[1].Status = stats.Idle },
			[]string{"warn requests Worker 1 has been in GET /slow for 12 s."}},
		{"harakiri is close", 20, func(i int, s *stats.Snapshot) {
			busy(s, 12*time.Second, i)
			s.Workers[1] = stats.Worker{ID: 2, PID: 1, Status: stats.Idle, Accepting: true}
			request := s.Workers[0].Cores[0].Request
			request.Deadline = request.Since.Add(13 * time.Second)
		}, []string{"bad requests Worker 1 has been in GET /slow for 12 s. Harakiri comes in 1.0 s."}},
		{"a websocket, and a slow request", 20, func(i int, s *stats.Snapshot) {
			busy(s, 12*time.Second, i)
			request := *s.Workers[0].Cores[0].Request
			request.URI, request.Since = "/socket", request.Since.Add(-time.Hour)
			s.Workers[0].Cores = append(s.Workers[0].Cores, stats.Core{ID: 1, Request: &request})
			s.Workers[1] = stats.Worker{ID: 2, PID: 1, Status: stats.Idle, Accepting: true}
		}, []string{"warn requests Worker 1 has been in GET /slow for 12 s.", "note requests Worker 1 has been in GET /socket for 60 min: a stream, or it hangs."}},
		{"nobody is there", 20, func(_ int, s *stats.Snapshot) { s.Workers = []stats.Worker{{ID: 1, Status: stats.Cheap}} }, []string{"warn workers No worker runs."}},
		{"harakiris now", 20, func(i int, s *stats.Snapshot) { s.Life.Harakiris = uint64(i / 10) }, []string{"bad workers 1 harakiri in the last minute"}},
		{"harakiris before", 200, func(i int, s *stats.Snapshot) { s.Life.Harakiris = uint64(min(i, 2)) }, []string{"warn workers 2 harakiris in the last ten minutes."}},
		{"respawns", 20, func(i int, s *stats.Snapshot) { s.Life.Respawns = uint64(i) }, []string{"warn workers 19 workers were respawned in the last minute."}},
		{"a reload that failed", 20, func(_ int, s *stats.Snapshot) { s.Reloads = []stats.Reload{{At: start, Problem: "no"}} },
			[]string{"bad reloads The last reload, 19 s ago, has failed."}},
		{"a reload that failed before one that did not", 20, func(_ int, s *stats.Snapshot) { s.Reloads = []stats.Reload{{At: start, Problem: "no"}, {At: start}} }, nil},
		{"a reload", 20, func(_ int, s *stats.Snapshot) { s.Loading = start.Add(10 * time.Second) }, []string{"note reloads A reload has been loading for 9.0 s"}},
		{"errors", 20, func(i int, s *stats.Snapshot) { s.Life.Responses[5] = uint64(20 * i) }, []string{"bad rate 17 % of the answers"}},
		{"some errors", 20, func(i int, s *stats.Snapshot) { s.Life.Responses[5] = uint64(2 * i) }, []string{"warn rate 2.0 % of the answers"}},
		{"slower than before", 400, func(i int, s *stats.Snapshot) {
			for range max(i-320, 0) {
				s.Life.Latency.Note(500 * time.Millisecond)
			}
		}, []string{"warn latency Requests are slower than usual: 95 % within 5"}},
		{"waiting for a core", 20, func(_ int, s *stats.Snapshot) {
			for range 100 {
				s.Life.QueueTime.Note(300 * time.Millisecond)
			}
		}, []string{"warn latency Requests wait for a free core"}},
		{"a connector is down", 20, func(_ int, s *stats.Snapshot) {
			s.Connectors = []stats.Connector{{Name: "redis.a", Status: gatewayspec.Down, Since: start, Problem: "refused"}, {Name: "b", Status: gatewayspec.Unknown}}
		}, []string{"bad connectors redis.a has been down for 19 s: refused"}},
		{"calls wait for a connection", 20, func(_ int, s *stats.Snapshot) {
			s.Pools = []stats.Pool{{Key: "main", Open: 2, InUse: 2, Waiting: 3, Limit: 2}, {Key: "b", Open: 2, InUse: 1, Waiting: 1}}
		}, []string{"warn connectors 3 calls wait for a connection to postgres.main: all 2 are in use."}},
		{"messages wait", 20, func(_ int, s *stats.Snapshot) { s.Events = &stats.Events{Waiting: 101} }, []string{"warn connectors 101 messages wait"}},
		{"a daemon is gone", 20, func(_ int, s *stats.Snapshot) {
			s.Daemons = []stats.Daemon{{Command: "false"}, {Command: "true", PID: 1}}
		},
			[]string{"warn processes A daemon does not run: false"}},
		{"the worst comes first", 20, func(_ int, s *stats.Snapshot) {
			s.Sockets[0].Queue = 1
			s.Reloads = []stats.Reload{{At: start, Problem: "no"}}
		}, []string{"bad reloads The last reload", "warn queue 1 connection waits"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			p := New()
			watch(p, one.seconds, one.change)
			found := p.latest.state(p.history.until(p.latest.number)).Findings
			bad := len(found) != len(one.want)
			for i := 0; i < len(found) && !bad; i++ {
				bad = !strings.HasPrefix(fmt.Sprintf("%s %s %s", found[i].Level, found[i].About, found[i].Text), one.want[i])
			}
			if bad {
				t.Errorf("%q, want %q", found, one.want)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for seconds, want := range map[float64]string{
		0.0012: "1.2 ms", 0.25: "250 ms", 0.9999: "1.0 s", 9.94: "9.9 s", 61: "61 s", 600: "10 min", 7300: "2 h", 200000: "2 days",
	} {
		if got := span(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
