package exporter

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"envoxyd/internal/gatewayspec"
	"envoxyd/master/management"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

var update = flag.Bool("update", false, "write what is found into the golden file")

// sample has something of everything.
func sample() *stats.Snapshot {
	at := time.Unix(1_700_000_000, 0)
	counts := stats.Counters{Requests: 10, Static: 2, Routed: 1, Exceptions: 3, WriteErrors: 4, ReadErrors: 5, Sent: 600, RunningTime: time.Second}
	busy := stats.Core{Counters: counts, Request: &stats.Request{}}
	life := stats.Life{Counters: counts, Harakiris: 61, Respawns: 62, Reloads: 63, FailedReloads: 64}
	life.Responses = [6]uint64{1, 2, 3, 4, 5, 6}
	for _, took := range []time.Duration{time.Microsecond, time.Millisecond, 3 * time.Second, time.Hour} {
		life.Latency.Note(took)
		life.QueueTime.Note(took / 2)
	}
	life.Events.Note(20 * time.Millisecond)
	return &stats.Snapshot{
		Life:    life,
		Reloads: []stats.Reload{{At: at, Took: time.Second, Problem: "no"}, {At: at.Add(time.Hour), Took: 2 * time.Second}},
		Version: "1.2", App: stats.App{LoadTime: 1500 * time.Millisecond},
		Sockets: []stats.Socket{
			{Name: "127.0.0.1:80", Protocol: "http", Queue: 4, MaxQueue: 100, Accepted: 17, Requests: 18}, {Name: "u.sock", Protocol: "uwsgi"},
			{Name: "127.0.0.1:80", Protocol: "http", Queue: 4, MaxQueue: 100}, // named twice
		},
		Workers: []stats.Worker{
			{ID: 1, PID: 1 << 30, Status: stats.Busy, Counters: counts, Started: at, RSS: 30, VSZ: 60, Cores: []stats.Core{busy, {}}},
			{ID: 2, PID: 1<<30 + 1, Status: "sig7", Counters: counts, RSS: 10, VSZ: 20, Cores: []stats.Core{{}, {}}},
			{ID: 3, Status: stats.Cheap, Cores: []stats.Core{{}, {}}},
		},
		Daemons:  []stats.Daemon{{Command: "sleep 1", PID: 20, Respawns: 1}, {Command: "secret"}},
		Locks:    []stats.Lock{{Name: "user 0"}, {Name: "user 1", Holder: 1}},
		Caches:   []stats.Cache{{Name: "pages", MaxItems: 10, Items: 1, Hits: 2, Misses: 3, Full: 4}},
		Mules:    []stats.Auxiliary{{ID: 1, PID: 30, Busy: true, Tasks: 2, Life: stats.AuxiliaryHistory{Tasks: 7, Respawns: 1}}},
		Spoolers: []stats.Auxiliary{{ID: 1, PID: 31, Dir: "/spool", Life: stats.AuxiliaryHistory{Tasks: 8}}},
		Events: &stats.Events{EventCounts: stats.EventCounts{Received: 21, Handled: 22, Failed: 23, Redelivered: 24, Dropped: 25}, Published: 26, Waiting: 27, Working: 28,
			Sources: []stats.EventSource{
				{Kind: "mqtt", Server: "main", Name: "a/+", EventCounts: stats.EventCounts{Received: 31, Handled: 32, Failed: 33, Redelivered: 34, Dropped: 35}},
				{Kind: "timer", Name: "tick", EventCounts: stats.EventCounts{Received: 41, Handled: 42}},
			}},
		Pools:         []stats.Pool{{Key: "main", Open: 5, InUse: 2, Waiting: 3, Limit: 8, Opened: 9, Acquired: 51, Waited: 52, TimedOut: 53, WaitTime: 54 * time.Millisecond}},
		Connectors:    []stats.Connector{{Name: "mqtt.main", Status: gatewayspec.Up}, {Name: "postgres.main", Status: gatewayspec.Down}, {Name: "redis.new", Status: gatewayspec.Unknown}},
		RoutedSignals: 11, LostSignals: 12, SignalQueue: 13,
		Added: []stats.Metric{
			{Name: "shop.orders", Kind: uwsgiopts.Counter, Value: 14}, {Name: "shop.carts", Kind: uwsgiopts.Gauge, Value: -15},
			{Name: "shop.total", Kind: uwsgiopts.Absolute, Value: 16}, {Name: "shop.carts", Kind: uwsgiopts.Alias, Value: -15},
		},
	}
}

// fakeHost has one state.
type fakeHost struct{ *testing.T }

func (h fakeHost) Snapshot() *stats.Snapshot { return sample() }

func (h fakeHost) Ask(ctx context.Context) *stats.Snapshot {
	return sample()
}

func (h fakeHost) Beside(func(context.Context) (then func())) { panic("not used") }

// serve serves on a socket, and returns a client of it.
func serve(t *testing.T, host fakeHost) *http.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	servers := &management.Servers{}
	servers.Replace([]management.Listener{{FD: int(file.Fd()), Name: path}}, Service(host))
	t.Cleanup(func() { servers.Close(); file.Close(); listener.Close() })
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func get(t *testing.T, client *http.Client, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://x"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// ours are the lines of metrics that are not the process's, whose values are never the same.
func ours(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), namespace) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestMetrics(t *testing.T) {
	const golden = "testdata/metrics.txt"
	client := serve(t, fakeHost{t})
	for _, encoding := range []string{"identity", "gzip"} {
		answer, text := get(t, client, "/metrics", "Accept-Encoding", encoding)
		if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") || (answer.Header.Get("Content-Encoding") == "gzip") != (encoding == "gzip") {
			t.Errorf("%s: %v", encoding, answer.Header)
		}
		if !strings.Contains(text, "\nprocess_resident_memory_bytes ") {
			t.Error("nothing is told of the process")
		}
		text = ours(text)
		if *update {
			if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: go test -update shows the difference to\n%s", encoding, text)
		}
	}
	if answer, text := get(t, client, "/metrics", "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"); !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/vnd.google.protobuf") || text == "" {
		t.Errorf("protobuf: %v", answer.Header)
	}
	if _, text := get(t, client, "/"); text != "The metrics of this envoxyd are at /metrics\n" {
		t.Errorf("/: %q", text)
	}
}

func TestTheEndOfTheInstanceIsNoEmptyAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	servers := &management.Servers{}
	host := &leavingHost{fakeHost{t}, make(chan struct{})}
	servers.Replace([]management.Listener{{FD: int(file.Fd()), Name: path}}, Service(host))
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-host.asked
	servers.Close()
	if text, _ := io.ReadAll(conn); len(text) > 0 {
		t.Errorf("%q", text)
	}
}

// leavingHost does not answer any more.
type leavingHost struct {
	fakeHost
	asked chan struct{}
}

func (h *leavingHost) Ask(ctx context.Context) *stats.Snapshot {
	close(h.asked)
	<-ctx.Done()
	return nil
}

// lint is what promtool check metrics would say.
func TestMetricsAreNamedAsPrometheusWantsThem(t *testing.T) {
	text, err := os.Open("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	problems, err := promlint.New(text).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestAnEmptyInstanceHasMetrics(t *testing.T) {
	e := newExporter(fakeHost{t})
	text, err := e.encode(&stats.Snapshot{}, expfmt.NewFormat(expfmt.TypeTextPlain))
	if err != nil || !strings.Contains(string(text), "\nenvoxyd_http_requests_total{code=\"2xx\"} 0\n") {
		t.Errorf("%s: %v", text, err)
	}
}

func BenchmarkScrape(b *testing.B) {
	e := newExporter(fakeHost{})
	s := sample()
	for b.Loop() {
		if _, err := e.encode(s, expfmt.NewFormat(expfmt.TypeTextPlain)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNamesThatAreNoTextAreNoFault: a registry collects on goroutines of its own, where a panic would end the instance.
func TestNamesThatAreNoTextAreNoFault(t *testing.T) {
	s := sample()
	s.Caches[0].Name, s.Spoolers[0].Dir = "caf\xe9", "/\xff"
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&collector{s})
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	broken := family{desc: prometheus.NewDesc("x", "", nil, nil), read: func(*stats.Snapshot, func(prometheus.Metric)) { panic("fault") }}
	to := make(chan prometheus.Metric, 1)
	broken.collect(s, to)
	if err := (<-to).Write(nil); err == nil {
		t.Error("a fault is no error of the metric")
	}
}
