package stats

import (
	"slices"
	"strings"
	"testing"

	"envoxyd/uwsgiopts"
)

func TestMetricsAsDatagrams(t *testing.T) {
	plain := plainText("shop", sample().Metrics(MetricsDetail{Workers: true}))
	for _, want := range []string{
		"shop.core.busy_workers 1 1", "shop.core.idle_workers 1 1", "shop.core.total_tx 0 1000", "shop.core.total_rss 1 40",
		"shop.core.total_vsz 1 80", "shop.core.avg_response_time 1 200000", "shop.core.total_running_time 0 3200000",
		"shop.worker.0.requests 0 16", "shop.worker.1.requests 0 10", "shop.worker.1.delta_requests 2 3",
		"shop.worker.1.failed_requests 0 2", "shop.worker.1.respawns 0 5", "shop.worker.1.avg_response_time 1 200000",
		"shop.worker.1.total_tx 0 700", "shop.worker.2.rss_size 1 10", "shop.worker.2.vsz_size 1 20",
		"shop.worker.2.running_time 0 1200000", "shop.worker.3.requests 0 0", "shop.socket.0.listen_queue 1 4",
	} {
		if !slices.Contains(plain, want) {
			t.Errorf("%q is missing among %q", want, plain)
		}
	}
	if slices.ContainsFunc(plainText("x", sample().Metrics(MetricsDetail{})), func(s string) bool { return strings.HasPrefix(s, "x.worker.1") }) {
		t.Error("single workers are there although nobody wants them")
	}
}

func TestStatsdIsToldWhatHasBeenAdded(t *testing.T) {
	before := map[string]int64{}
	all := []Metric{{Name: "served", Value: 10}, {Name: "busy", Kind: uwsgiopts.Gauge, Value: 3}}
	for _, round := range []struct {
		served int64
		gauges bool
		want   string
	}{
		{10, false, "u.served:10|c u.busy:3|g"},
		{14, false, "u.served:4|c u.busy:3|g"},
		{2, false, "u.served:2|c u.busy:3|g"}, // a reload has begun to count anew
		{2, true, "u.served:2|g u.busy:3|g"},
	} {
		all[0].Value = round.served
		if got := strings.Join(statsdText("u", all, round.gauges, before), " "); got != round.want {
			t.Errorf("%d served: %s, want %s", round.served, got, round.want)
		}
	}
}
