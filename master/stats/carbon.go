package stats

import (
	"fmt"
	"os"
	"strings"
	"time"

	"envoxyd/uwsgiopts"
)

// carbon is how messages to one Carbon server look, and what the last one said.
type carbon struct {
	head    string // of each name: root, host and instance
	workers bool   // single ones too
	metrics bool   // names of metrics instead of Carbon's own
	idle    string // average of a worker without requests since: last, zero or none

	last    int64                 // unix seconds; 0: there was no message yet
	running map[int]time.Duration // of each worker, in requests
	served  map[int]uint64
}

// newCarbon returns the form that the configuration asks for. Without --carbon-id, names
// have the first socket's in them.
func newCarbon(cfg *uwsgiopts.PushConfig, socket string) *carbon {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if cfg.CarbonHostnameDots != "" {
		host = strings.ReplaceAll(host, ".", cfg.CarbonHostnameDots)
	}
	id := cfg.CarbonID
	if id == "" {
		id = strings.ReplaceAll(socket, ".", "_")
	}
	root := cfg.CarbonRoot
	if root != "" && !strings.HasSuffix(root, ".") {
		root += "."
	}
	return &carbon{head: root + host + "." + id + ".", workers: !cfg.CarbonNoWorkers, metrics: cfg.CarbonUseMetrics,
		idle: cfg.CarbonIdleAvg, running: map[int]time.Duration{}, served: map[int]uint64{}}
}

// text is everything for one message; now is in unix seconds.
func (c *carbon) text(s *Snapshot, now int64) string {
	var b strings.Builder
	line := func(key string, value uint64) { fmt.Fprintf(&b, "%s%s %d %d\n", c.head, key, value, now) }
	if c.metrics {
		for _, m := range s.Metrics(MetricsDetail{Workers: c.workers}) {
			line(m.Name, uint64(m.Value))
		}
		return b.String()
	}
	t := s.Totals()
	line("requests", t.Requests)
	busy := uint64(0)
	for i := range s.Workers {
		w := &s.Workers[i]
		share := c.busyness(w.ID, w.RunningTime, now)
		if w.Status != Cheap {
			busy += share
		}
		if !c.workers {
			continue
		}
		name := fmt.Sprintf("worker%d.", w.ID)
		line(name+"requests", w.Requests)
		if average, known := c.average(w); known {
			line(name+"avg_rt", micros(average))
		}
		line(name+"tx", w.Sent)
		line(name+"busyness", share)
		line(name+"harakiri", uint64(w.Harakiris))
		line(name+"respawns", uint64(w.Starts))
		line(name+"exceptions", w.Exceptions)
	}
	c.last = now
	line("avg_rt", micros(t.AverageTime()))
	line("tx", t.Sent)
	line("busyness", busy/uint64(max(t.Active, 1)))
	line("active_workers", uint64(t.Active))
	line("busy_workers", uint64(t.Busy))
	line("idle_workers", uint64(t.Idle))
	line("harakiri", uint64(t.Harakiris))
	line("respawns", uint64(t.Starts))
	line("exceptions", t.Exceptions)
	return b.String()
}

// busyness is the share of the time since the last message that a worker spent in requests, in percent.
func (c *carbon) busyness(id int, running time.Duration, now int64) uint64 {
	before, known := c.running[id]
	c.running[id] = running
	if !known || now <= c.last || running < before {
		return 0
	}
	percent := time.Duration(now-c.last) * time.Second / 100
	return min(uint64((running-before)/percent), 100)
}

// average is a worker's mean time of a request, as --carbon-idle-avg wants it.
func (c *carbon) average(w *Worker) (value time.Duration, known bool) {
	idle := c.served[w.ID] == w.Requests
	c.served[w.ID] = w.Requests
	switch {
	case !idle || c.idle == "" || c.idle == "last":
		return w.AverageTime(), true
	case c.idle == "zero":
		return 0, true
	}
	return 0, false
}
