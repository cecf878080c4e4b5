package stats

import (
	"os"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

// testCarbon is a form whose names begin with head.
func testCarbon(cfg uwsgiopts.PushConfig, head string) *carbon {
	c := newCarbon(&cfg, "")
	c.head = head
	return c
}

func TestCarbonMessages(t *testing.T) {
	s := sample()
	form := testCarbon(uwsgiopts.PushConfig{CarbonIdleAvg: "zero"}, "uwsgi.host.id.")
	first := form.text(s, 100)
	for _, want := range []string{
		"uwsgi.host.id.requests 16 100\n", "uwsgi.host.id.worker1.avg_rt 200000 100\n", "uwsgi.host.id.worker1.busyness 0 100\n",
		"uwsgi.host.id.worker1.harakiri 1 100\n", "uwsgi.host.id.active_workers 2 100\n", "uwsgi.host.id.busy_workers 1 100\n",
		"uwsgi.host.id.idle_workers 1 100\n", "uwsgi.host.id.respawns 6 100\n", "uwsgi.host.id.exceptions 2 100\n", "uwsgi.host.id.tx 1000 100\n",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is missing in\n%s", want, first)
		}
	}
	s.Workers[0].RunningTime += 5 * time.Second // of 10
	second := form.text(s, 110)
	for _, want := range []string{"worker1.busyness 50 110\n", "worker2.busyness 0 110\n", "id.busyness 25 110\n", "worker1.avg_rt 0 110\n"} {
		if !strings.Contains(second, want) {
			t.Errorf("%q is missing in\n%s", want, second)
		}
	}
	form.idle = "none"
	if text := form.text(s, 120); strings.Contains(text, "worker1.avg_rt") {
		t.Errorf("an idle worker has an average:\n%s", text)
	}
	bare := testCarbon(uwsgiopts.PushConfig{CarbonUseMetrics: true, CarbonNoWorkers: true}, "r.")
	if text := bare.text(s, 1); !strings.Contains(text, "r.core.busy_workers 1 1\n") || strings.Contains(text, "worker.1.") {
		t.Errorf("metrics are\n%s", text)
	}
}

func TestWhereCarbonNamesComeFrom(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]uwsgiopts.PushConfig{
		"uwsgi." + host + ".127_0_0_1:80.":           {CarbonRoot: "uwsgi."},
		"shop." + host + ".one.":                     {CarbonRoot: "shop", CarbonID: "one"},
		strings.ReplaceAll(host, ".", "-") + ".one.": {CarbonID: "one", CarbonHostnameDots: "-"},
	} {
		if got := newCarbon(&cfg, "127.0.0.1:80").head; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
