package stats

import (
	"fmt"

	"envoxyd/uwsgiopts"
)

// Metric is one number under uWSGI's name for it.
type Metric struct {
	Name, OID string
	Kind      uwsgiopts.MetricKind
	Value     int64
}

// MetricsDetail is how far metrics go into detail.
type MetricsDetail struct{ Workers, Cores bool }

// Metrics are the snapshot's numbers, and behind them those that the configuration has added. Times are microseconds,
// sizes bytes.
func (s *Snapshot) Metrics(detail MetricsDetail) (all []Metric) {
	add := func(kind uwsgiopts.MetricKind, name, oid string, value uint64) {
		all = append(all, Metric{name, oid, kind, int64(value)})
	}
	counter := func(name, oid string, value uint64) { add(uwsgiopts.Counter, name, oid, value) }
	gauge := func(name, oid string, value uint64) { add(uwsgiopts.Gauge, name, oid, value) }
	t := s.Totals()
	counter("core.routed_signals", "5.1", s.RoutedSignals)
	counter("core.unrouted_signals", "5.2", s.LostSignals)
	gauge("core.busy_workers", "5.3", uint64(t.Busy))
	gauge("core.idle_workers", "5.4", uint64(t.Idle))
	counter("core.overloaded", "5.5", s.Overloaded)
	counter("core.total_tx", "5.100", t.Sent)
	gauge("core.total_rss", "5.101", uint64(t.RSS))
	gauge("core.total_vsz", "5.102", uint64(t.VSZ))
	gauge("core.avg_response_time", "5.103", micros(t.AverageTime()))
	counter("core.total_running_time", "5.104", micros(t.RunningTime))
	counter("worker.0.requests", "3.0.1", t.Requests)
	for i := range s.Workers {
		if !detail.Workers {
			break
		}
		w := &s.Workers[i]
		name, oid := fmt.Sprintf("worker.%d.", w.ID), fmt.Sprintf("3.%d.", w.ID)
		counter(name+"requests", oid+"1", w.Requests)
		add(uwsgiopts.Absolute, name+"delta_requests", oid+"2", w.Delta)
		counter(name+"failed_requests", oid+"13", w.Exceptions)
		counter(name+"respawns", oid+"14", uint64(w.Starts))
		gauge(name+"avg_response_time", oid+"8", micros(w.AverageTime()))
		counter(name+"total_tx", oid+"9", w.Sent)
		gauge(name+"rss_size", oid+"11", uint64(w.RSS))
		gauge(name+"vsz_size", oid+"12", uint64(w.VSZ))
		counter(name+"running_time", oid+"13", micros(w.RunningTime))
		for n := range w.Cores {
			if !detail.Cores {
				break
			}
			core := &w.Cores[n]
			name, oid := fmt.Sprintf("%score.%d.", name, core.ID), fmt.Sprintf("%s2.%d.", oid, core.ID)
			counter(name+"requests", oid+"1", core.Requests)
			counter(name+"write_errors", oid+"3", core.WriteErrors)
			counter(name+"routed_requests", oid+"4", core.Routed)
			counter(name+"static_requests", oid+"5", core.Static)
			counter(name+"offloaded_requests", oid+"6", 0)
			counter(name+"exceptions", oid+"7", core.Exceptions)
			counter(name+"read_errors", oid+"8", core.ReadErrors)
		}
	}
	for i, socket := range s.Sockets {
		gauge(fmt.Sprintf("socket.%d.listen_queue", i), fmt.Sprintf("7.%d.1", i), uint64(socket.Queue))
	}
	add(uwsgiopts.Alias, "rss_size", "", uint64(t.RSS))
	add(uwsgiopts.Alias, "vsz_size", "", uint64(t.VSZ))
	return append(all, s.Added...)
}

// plainText is one datagram for each metric, as the pusher "socket" sends them.
func plainText(prefix string, all []Metric) (datagrams []string) {
	for _, m := range all {
		datagrams = append(datagrams, fmt.Sprintf("%s.%s %d %d", prefix, m.Name, m.Kind, m.Value))
	}
	return datagrams
}

// statsdText is one datagram for each metric in statsd's form. Counters are what has
// been added since before, for statsd adds up itself.
func statsdText(prefix string, all []Metric, gaugesOnly bool, before map[string]int64) (datagrams []string) {
	for _, m := range all {
		if m.Kind != uwsgiopts.Counter && m.Kind != uwsgiopts.Absolute || gaugesOnly {
			datagrams = append(datagrams, fmt.Sprintf("%s.%s:%d|g", prefix, m.Name, m.Value))
			continue
		}
		added := m.Value
		if last := before[m.Name]; last <= m.Value {
			added -= last
		}
		before[m.Name] = m.Value
		datagrams = append(datagrams, fmt.Sprintf("%s.%s:%d|c", prefix, m.Name, added))
	}
	return datagrams
}
