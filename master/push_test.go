package master

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

func pushedDocument() *statsDocument {
	return &statsDocument{
		Sockets: []statsSocket{{Queue: 4}},
		Workers: []statsWorker{
			{ID: 1, Status: "busy", Requests: 10, DeltaRequests: 3, Exceptions: 2, HarakiriCount: 1, RespawnCount: 5, RunningTime: 2_000_000, TX: 700, AvgRT: 200_000, RSS: 30, VSZ: 60},
			{ID: 2, Status: "idle", Requests: 6, RunningTime: 1_200_000, RespawnCount: 1, TX: 300, AvgRT: 200_000, RSS: 10, VSZ: 20},
			{ID: 3, Status: "cheap"},
		},
	}
}

func TestMetricsAsDatagrams(t *testing.T) {
	d := pushedDocument()
	plain := plainText("shop", d.metrics(true))
	for _, want := range []string{
		"shop.core.busy_workers 1 1", "shop.core.idle_workers 1 1", "shop.core.total_tx 0 1000", "shop.core.total_rss 1 40",
		"shop.core.avg_response_time 1 200000", "shop.worker.0.requests 0 16", "shop.worker.1.requests 0 10",
		"shop.worker.1.delta_requests 0 3", "shop.worker.2.rss_size 1 10", "shop.worker.3.requests 0 0", "shop.socket.0.listen_queue 1 4",
	} {
		if !slices.Contains(plain, want) {
			t.Errorf("%q is missing among %q", want, plain)
		}
	}
	if slices.ContainsFunc(plainText("x", d.metrics(false)), func(s string) bool { return strings.HasPrefix(s, "x.worker.1") }) {
		t.Error("single workers are there although nobody wants them")
	}
}

func TestStatsdIsToldWhatHasBeenAdded(t *testing.T) {
	before := map[string]uint64{}
	all := []metric{{name: "served", value: 10}, {name: "busy", gauge: true, value: 3}}
	for _, round := range []struct {
		served uint64
		gauges bool
		want   string
	}{
		{10, false, "u.served:10|c u.busy:3|g"},
		{14, false, "u.served:4|c u.busy:3|g"},
		{2, false, "u.served:2|c u.busy:3|g"}, // a reload has begun to count anew
		{2, true, "u.served:2|g u.busy:3|g"},
	} {
		all[0].value = round.served
		if got := strings.Join(statsdText("u", all, round.gauges, before), " "); got != round.want {
			t.Errorf("%d served: %s, want %s", round.served, got, round.want)
		}
	}
}

func TestCarbonMessages(t *testing.T) {
	d := pushedDocument()
	form := &carbonForm{head: "uwsgi.host.id.", workers: true, idle: "zero"}
	first := form.text(d, 100)
	for _, want := range []string{
		"uwsgi.host.id.requests 16 100\n", "uwsgi.host.id.worker1.avg_rt 200000 100\n", "uwsgi.host.id.worker1.busyness 0 100\n",
		"uwsgi.host.id.worker1.harakiri 1 100\n", "uwsgi.host.id.active_workers 2 100\n", "uwsgi.host.id.busy_workers 1 100\n",
		"uwsgi.host.id.idle_workers 1 100\n", "uwsgi.host.id.respawns 6 100\n", "uwsgi.host.id.exceptions 2 100\n", "uwsgi.host.id.tx 1000 100\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is missing in\n%s", want, first)
		}
	}
	d.Workers[0].RunningTime += 5_000_000 // of 10 seconds
	second := form.text(d, 110)
	for _, want := range []string{"worker1.busyness 50 110\n", "worker2.busyness 0 110\n", "id.busyness 25 110\n", "worker1.avg_rt 0 110\n"} {
		if !strings.Contains(second, want) {
			t.Errorf("%q is missing in\n%s", want, second)
		}
	}
	form.idle = "none"
	if text := form.text(d, 120); strings.Contains(text, "worker1.avg_rt") {
		t.Errorf("an idle worker has an average:\n%s", text)
	}
	bare := &carbonForm{head: "r.", metrics: true}
	if text := bare.text(d, 1); !strings.Contains(text, "r.core.busy_workers 1 1\n") || strings.Contains(text, "worker.1.") {
		t.Errorf("metrics are\n%s", text)
	}
}

func TestWhereCarbonNamesComeFrom(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	m := &master{sockets: []*sockets.Socket{{Name: "s.stats", Protocol: sockets.Stats}, {Name: "127.0.0.1:80", Protocol: "http"}}}
	for want, cfg := range map[string]uwsgiopts.PushConfig{
		"uwsgi." + host + ".127_0_0_1:80.":           {CarbonRoot: "uwsgi."},
		"shop." + host + ".one.":                     {CarbonRoot: "shop", CarbonID: "one"},
		strings.ReplaceAll(host, ".", "-") + ".one.": {CarbonID: "one", CarbonHostnameDots: "-"},
	} {
		if got := m.carbonForm(&uwsgiopts.Config{PushConfig: cfg}).head; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatisticsArePushed(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	g := testGeneration(t, 1, 1)
	g.m.events, g.m.commands, g.m.sockets = make(chan event), newCommands(), []*sockets.Socket{}
	g.m.started = time.Unix(0, 0)
	cfg := &uwsgiopts.Config{StartDir: t.TempDir(), PushConfig: uwsgiopts.PushConfig{
		Carbon: []string{server.Addr().String()}, CarbonTimeout: 10 * time.Second, CarbonID: "one", CarbonEvery: time.Minute,
		Pushes: []uwsgiopts.Push{{Kind: "file", Address: "stats", End: "\n--\n"}}}}
	g.m.pushers.follow(g.m, cfg)
	now := time.Unix(1000, 0)
	g.m.pushers.look(g.m, now)
	conn, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, ".one.requests 0 1000\n") {
		t.Errorf("%q, %v", line, err)
	}
	conn.Close()
	for range 2 {
		(<-g.m.events)(g.m)
	}
	text, err := os.ReadFile(filepath.Join(cfg.StartDir, "stats"))
	if err != nil || !strings.HasPrefix(string(text), "{") || !strings.HasSuffix(string(text), "}\n--\n") {
		t.Errorf("%q, %v", text, err)
	}
	g.m.pushers.look(g.m, now.Add(time.Second/2))
	for _, p := range g.m.pushers {
		if p.busy {
			t.Errorf("%s is sent to again at once", p.Kind)
		}
	}
	g.m.commands.close()
}

func TestAFailedMessageIsTriedAgain(t *testing.T) {
	p := &pusher{retries: 1, delay: time.Hour, Push: uwsgiopts.Push{Every: time.Minute}}
	p.sent(context.DeadlineExceeded)
	if p.next.IsZero() {
		t.Error("no second try")
	}
	p.next = time.Time{}
	p.sent(context.DeadlineExceeded)
	if !p.next.IsZero() || p.failed != 0 {
		t.Error("a third try")
	}
}
