package statuspage

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"envoxyd/internal/gatewayspec"
	"envoxyd/master/stats"
)

var update = flag.Bool("update", false, "write testdata anew")

// everything is a state with something of everything. Its processes do not exist.
func everything() *stats.Snapshot {
	s := &stats.Snapshot{
		Version: "2.1.0", PID: 10, Dir: "/srv/shop", Started: start.Add(-time.Hour), Loading: start.Add(-2 * time.Second),
		App:     stats.App{Name: "shop", LoadTime: 2700 * time.Millisecond},
		Sockets: []stats.Socket{{Name: "127.0.0.1:80", Protocol: "http", Queue: 4, MaxQueue: 100}, {Name: "u.sock", Protocol: "uwsgi"}},
		Reloads: []stats.Reload{{At: start.Add(-10 * time.Minute), Took: 3 * time.Second}, {At: start.Add(-time.Minute), Took: time.Second, Problem: "Traceback\n  <b>"}},
		Workers: []stats.Worker{
			{ID: 1, PID: 1 << 30, Status: stats.Busy, Accepting: true, Harakiris: 1, Counters: stats.Counters{Requests: 6, Exceptions: 2}, Started: start, Starts: 5, Cores: []stats.Core{
				{ID: 0, Request: &stats.Request{Addr: "10.0.0.1", Method: "GET", URI: "/a?b=<c>&d", Since: start.Add(-time.Second)}},
				{ID: 1, Request: &stats.Request{Addr: "10.0.0.2", Method: "POST", URI: "/slow\xff\u202e\n", Since: start.Add(-8 * time.Second), Deadline: start.Add(2 * time.Second)}},
			}},
			{ID: 2, PID: 1<<30 + 1, Status: stats.Idle},
			{ID: 3, Status: stats.Cheap},
		},
		Connectors: []stats.Connector{
			{Name: "mqtt.broker", Status: gatewayspec.Up, Since: start.Add(-time.Hour), Checked: start.Add(-time.Second), Took: 4 * time.Microsecond},
			{Name: "redis.cache", Status: gatewayspec.Down, Since: start.Add(-time.Minute), Checked: start.Add(-3 * time.Second), Took: 2 * time.Second, Problem: "connection refused"},
		},
		Events: &stats.Events{EventCounts: stats.EventCounts{Received: 7, Handled: 5, Failed: 1}, Published: 2, Waiting: 1,
			Sources: []stats.EventSource{{Kind: "mqtt", Server: "broker", Name: "a/+", EventCounts: stats.EventCounts{Received: 7, Handled: 5, Failed: 1}}}},
		Pools:    []stats.Pool{{Key: "main", Open: 3, InUse: 2, Limit: 20, Waited: 4, TimedOut: 1}},
		Mules:    []stats.Auxiliary{{ID: 1, PID: 20, Runs: "mule.py", Busy: true, Tasks: 3}},
		Spoolers: []stats.Auxiliary{{ID: 1, PID: 21, Dir: "/srv/spool", Tasks: 4, Respawns: 1}},
		Daemons:  []stats.Daemon{{Command: "worker <x>", Respawns: 2}},
		Crons:    []stats.Cron{{When: [5]int{-5, -1, -1, -1, 0}, Command: "backup", PID: 30, Started: start.Add(-time.Minute)}},
		Caches:   []stats.Cache{{Name: "pages", Items: 3, MaxItems: 10, Hits: 8, Misses: 2}},
	}
	s.Life.Requests, s.Life.Responses, s.Life.Harakiris, s.Life.Respawns, s.Life.Reloads, s.Life.FailedReloads = 6, [6]uint64{1, 0, 3, 1, 1, 0}, 1, 4, 1, 1
	s.Life.Latency.Note(20 * time.Millisecond)
	s.Life.QueueTime.Note(time.Millisecond)
	s.Workers[0].Latency.Note(20 * time.Millisecond)
	return s
}

// The keys are a promise: see docs/status-page.md.
func TestTheStateAsItIsWritten(t *testing.T) {
	p := New()
	p.host = "web1"
	p.Note(&stats.Snapshot{}, start.Add(-time.Second))
	p.Note(everything(), start)
	text := p.latest.event()
	line, ending, _ := strings.Cut(strings.TrimPrefix(string(text), "event: state\ndata: "), "\n")
	if ending != "\n" || !utf8.ValidString(line) {
		t.Fatalf("%q", text)
	}
	var document any
	if err := json.Unmarshal([]byte(line), &document); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/state.json"
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("it is not as in %s (go test -update writes it):\n%s", golden, got)
	}
}

func TestWhatClientsSendIsSafe(t *testing.T) {
	for _, text := range []string{"/a?b=<script>", "\xff\xfe", "\u202e\u2028", strings.Repeat("é", maxText), "\x1b[31m\r\n\x00"} {
		shown := safe(text)
		if !utf8.ValidString(shown) || strings.ContainsAny(shown, "\n\r\x00\x1b\u2028\u202e") || len(shown) > 4*maxText+8 {
			t.Errorf("%q is shown as %q", text, shown)
		}
		if written, err := json.Marshal(shown); err != nil || strings.ContainsAny(string(written), "<>\n") {
			t.Errorf("%q is written as %s, %v", text, written, err)
		}
	}
}

func TestNoEventHasMoreThanSomeRequests(t *testing.T) {
	s, now := after(1, 1)
	for i := range 3 * maxRequests {
		s.Workers[0].Cores = append(s.Workers[0].Cores, stats.Core{ID: i, Request: &stats.Request{Since: now.Add(-time.Duration(i) * time.Second)}})
	}
	p := New()
	p.Note(s, now)
	doc := p.latest.state(p.history.until(0))
	if len(doc.Requests) != maxRequests || doc.Requests[0].Core != 3*maxRequests-1 || doc.InHand != 3*maxRequests || doc.Workers[0].InHand != doc.InHand {
		t.Errorf("%d of %d, the first is %+v", len(doc.Requests), doc.InHand, doc.Requests[0])
	}
	if doc.Workers[0].Oldest.Core != 3*maxRequests-1 {
		t.Errorf("%+v", doc.Workers[0].Oldest)
	}
}

func TestNames(t *testing.T) {
	for _, one := range []struct {
		s    stats.Snapshot
		want string
	}{
		{stats.Snapshot{App: stats.App{Name: "shopd", Chdir: "/srv/a"}, Dir: "/srv/b"}, "shopd"},
		{stats.Snapshot{App: stats.App{Chdir: "/srv/a"}, Dir: "/srv/b"}, "a"},
		{stats.Snapshot{Dir: "/srv/b"}, "b"},
		{stats.Snapshot{}, "envoxyd"},
	} {
		if got := nameOf(&one.s); got != one.want {
			t.Errorf("%q, want %q", got, one.want)
		}
	}
}
