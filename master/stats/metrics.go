package stats

import "fmt"

// metric is one number under uWSGI's name for it.
type metric struct {
	name  string
	gauge bool // else it only grows
	value uint64
}

// uWSGI's numbers for kinds of metrics.
const (
	counterKind = 0
	gaugeKind   = 1
)

// metrics are the snapshot's numbers as pushers send them; workers: single ones too. Times are
// microseconds, sizes bytes.
func (s *Snapshot) metrics(workers bool) (all []metric) {
	counter := func(name string, value uint64) { all = append(all, metric{name: name, value: value}) }
	gauge := func(name string, value uint64) { all = append(all, metric{name: name, gauge: true, value: value}) }
	t := s.Totals()
	gauge("core.busy_workers", uint64(t.Busy))
	gauge("core.idle_workers", uint64(t.Idle))
	counter("core.total_tx", t.Sent)
	gauge("core.total_rss", uint64(t.RSS))
	gauge("core.total_vsz", uint64(t.VSZ))
	gauge("core.avg_response_time", micros(t.AverageTime()))
	counter("core.total_running_time", micros(t.RunningTime))
	counter("worker.0.requests", t.Requests)
	for i := range s.Workers {
		if !workers {
			break
		}
		w := &s.Workers[i]
		name := fmt.Sprintf("worker.%d.", w.ID)
		counter(name+"requests", w.Requests)
		counter(name+"delta_requests", w.Delta)
		counter(name+"failed_requests", w.Exceptions)
		counter(name+"respawns", uint64(w.Starts))
		gauge(name+"avg_response_time", micros(w.AverageTime()))
		counter(name+"total_tx", w.Sent)
		gauge(name+"rss_size", uint64(w.RSS))
		gauge(name+"vsz_size", uint64(w.VSZ))
		counter(name+"running_time", micros(w.RunningTime))
	}
	for i, socket := range s.Sockets {
		gauge(fmt.Sprintf("socket.%d.listen_queue", i), uint64(socket.Queue))
	}
	return all
}

// plainText is one datagram for each metric, as the pusher "socket" sends them.
func plainText(prefix string, all []metric) (datagrams []string) {
	for _, m := range all {
		kind := counterKind
		if m.gauge {
			kind = gaugeKind
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
