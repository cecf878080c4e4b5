package master

import (
	"fmt"
	"strings"
)

// metric is one number under uWSGI's name for it.
type metric struct {
	name  string
	gauge bool // else it only grows
	value uint64
}

// uWSGI's numbers for kinds of metrics.
const (
	metricCounter = 0
	metricGauge   = 1
)

// metrics are the document's numbers as pushers send them.
func (d *statsDocument) metrics(workers bool) (all []metric) {
	counter := func(name string, value uint64) { all = append(all, metric{name: name, value: value}) }
	gauge := func(name string, value uint64) { all = append(all, metric{name: name, gauge: true, value: value}) }
	t := d.totals()
	gauge("core.busy_workers", t.busy)
	gauge("core.idle_workers", t.idle)
	counter("core.total_tx", t.tx)
	gauge("core.total_rss", t.rss)
	gauge("core.total_vsz", t.vsz)
	gauge("core.avg_response_time", t.averageTime())
	counter("core.total_running_time", t.running)
	counter("worker.0.requests", t.requests)
	for _, w := range d.Workers {
		if !workers {
			break
		}
		name := fmt.Sprintf("worker.%d.", w.ID)
		counter(name+"requests", w.Requests)
		counter(name+"delta_requests", w.DeltaRequests)
		counter(name+"failed_requests", w.Exceptions)
		counter(name+"respawns", uint64(w.RespawnCount))
		gauge(name+"avg_response_time", w.AvgRT)
		counter(name+"total_tx", w.TX)
		gauge(name+"rss_size", uint64(w.RSS))
		gauge(name+"vsz_size", uint64(w.VSZ))
		counter(name+"running_time", w.RunningTime)
	}
	for i, s := range d.Sockets {
		gauge(fmt.Sprintf("socket.%d.listen_queue", i), uint64(s.Queue))
	}
	return all
}

// statsTotals are sums over all workers.
type statsTotals struct {
	requests, running, tx, exceptions, harakiri, respawns, rss, vsz uint64
	active, busy, idle                                              uint64
}

func (d *statsDocument) totals() (t statsTotals) {
	for _, w := range d.Workers {
		t.requests += w.Requests
		t.running += w.RunningTime
		t.tx += w.TX
		t.exceptions += w.Exceptions
		t.harakiri += uint64(w.HarakiriCount)
		t.respawns += uint64(w.RespawnCount)
		t.rss += uint64(w.RSS)
		t.vsz += uint64(w.VSZ)
		switch w.Status {
		case "cheap":
			continue
		case "busy":
			t.busy++
		case "idle":
			t.idle++
		}
		t.active++
	}
	return t
}

func (t statsTotals) averageTime() uint64 { return t.running / max(t.requests, 1) }

// plainText is one datagram for each metric, as the pusher "socket" sends them.
func plainText(prefix string, all []metric) (datagrams []string) {
	for _, m := range all {
		kind := metricCounter
		if m.gauge {
			kind = metricGauge
		}
		datagrams = append(datagrams, fmt.Sprintf("%s.%s %d %d", prefix, m.name, kind, m.value))
	}
	return datagrams
}

// statsdText is one datagram for each metric in statsd's form. Counters are what has
// been added since before, for statsd adds up itself.
func statsdText(prefix string, all []metric, gaugesOnly bool, before map[string]uint64) (datagrams []string) {
	for _, m := range all {
		if m.gauge || gaugesOnly {
			datagrams = append(datagrams, fmt.Sprintf("%s.%s:%d|g", prefix, m.name, m.value))
			continue
		}
		added := m.value
		if last := before[m.name]; last <= m.value {
			added -= last
		}
		before[m.name] = m.value
		datagrams = append(datagrams, fmt.Sprintf("%s.%s:%d|c", prefix, m.name, added))
	}
	return datagrams
}

// carbonText is everything for one message to a Carbon server.
func (c *carbonForm) text(d *statsDocument, now int64) string {
	var b strings.Builder
	line := func(key string, value uint64) { fmt.Fprintf(&b, "%s%s %d %d\n", c.head, key, value, now) }
	if c.metrics {
		for _, m := range d.metrics(c.workers) {
			line(m.name, m.value)
		}
		return b.String()
	}
	t := d.totals()
	line("requests", t.requests)
	busy := uint64(0)
	for _, w := range d.Workers {
		share := c.busyness(w.ID, w.RunningTime, now)
		if w.Status != "cheap" {
			busy += share
		}
		if !c.workers {
			continue
		}
		name := fmt.Sprintf("worker%d.", w.ID)
		line(name+"requests", w.Requests)
		if average, known := c.average(w); known {
			line(name+"avg_rt", average)
		}
		line(name+"tx", w.TX)
		line(name+"busyness", share)
		line(name+"harakiri", uint64(w.HarakiriCount))
		line(name+"respawns", uint64(w.RespawnCount))
		line(name+"exceptions", w.Exceptions)
	}
	c.last = now
	line("avg_rt", t.averageTime())
	line("tx", t.tx)
	line("busyness", busy/max(t.active, 1))
	line("active_workers", t.active)
	line("busy_workers", t.busy)
	line("idle_workers", t.idle)
	line("harakiri", t.harakiri)
	line("respawns", t.respawns)
	line("exceptions", t.exceptions)
	return b.String()
}

// carbonForm is how messages to a Carbon server look, and what the last one said.
type carbonForm struct {
	head    string // of each name: root, host and instance
	workers bool   // single ones too
	metrics bool   // names of metrics instead of Carbon's own
	idle    string // average of a worker without requests since: last, zero or none

	last    int64 // unix seconds; 0: there was no message yet
	running map[int]uint64
	served  map[int]uint64
}

// busyness is the share of the time since the last message that a worker spent in requests, in percent.
func (c *carbonForm) busyness(id int, running uint64, now int64) uint64 {
	if c.running == nil {
		c.running = map[int]uint64{}
	}
	before, known := c.running[id]
	c.running[id] = running
	if !known || now <= c.last || running < before {
		return 0
	}
	return min((running-before)/(uint64(now-c.last)*10_000), 100)
}

// average is a worker's mean time of a request, microseconds, as --carbon-idle-avg wants it.
func (c *carbonForm) average(w statsWorker) (value uint64, known bool) {
	if c.served == nil {
		c.served = map[int]uint64{}
	}
	idle := c.served[w.ID] == w.Requests
	c.served[w.ID] = w.Requests
	switch {
	case !idle || c.idle == "" || c.idle == "last":
		return w.AvgRT, true
	case c.idle == "zero":
		return 0, true
	}
	return 0, false
}
