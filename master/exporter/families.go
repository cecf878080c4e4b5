package exporter

import (
	"slices"
	"strconv"

	"envoxyd/internal/latency"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// families are all metrics. docs/metrics.md tells of each.
var families = slices.Concat(instanceFamilies, requestFamilies, workerFamilies, socketFamilies, sharedFamilies, besideFamilies, eventFamilies, poolFamilies)

var instanceFamilies = []family{
	gauge("build_info", "The version of envoxyd; the value is 1.", []string{"version"}, func(s *stats.Snapshot, add add) {
		add(1, s.Version)
	}),
	gauge("application_load_duration_seconds", "Time that the application took to be imported.", nil, func(s *stats.Snapshot, add add) {
		add(s.App.LoadTime.Seconds())
	}),
	counter("reloads_total", "Reloads, by how they ended.", []string{"result"}, func(s *stats.Snapshot, add add) {
		add(float64(s.Life.Reloads), "success")
		add(float64(s.Life.FailedReloads), "failure")
	}),
	gauge("last_reload_successful", "Whether the last reload has gone well.", nil, ofLastReload(func(r *stats.Reload) float64 { return number(r.Problem == "") })),
	gauge("last_reload_timestamp_seconds", "When the last reload began, in unix seconds.", nil, ofLastReload(func(r *stats.Reload) float64 { return stats.UnixSeconds(r.At) })),
	gauge("last_reload_duration_seconds", "Time that the last reload took.", nil, ofLastReload(func(r *stats.Reload) float64 { return r.Took.Seconds() })),
}

// ofLastReload reads a value of the last reload, if there was one.
func ofLastReload(value func(r *stats.Reload) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		if n := len(s.Reloads); n > 0 {
			add(value(&s.Reloads[n-1]))
		}
	}
}

var requestFamilies = []family{
	counter("http_requests_total", "Requests over HTTP, uwsgi, FastCGI and SCGI that are done, by the class of their status.", []string{"code"}, func(s *stats.Snapshot, add add) {
		for class, count := range s.Life.Responses {
			add(float64(count), stats.ResponseClass(class))
		}
	}),
	durations("http_request_duration_seconds", "Time of these requests, from where the application has them to the end of the response.", func(s *stats.Snapshot) *latency.Histogram { return &s.Life.Latency }),
	durations("http_request_queue_duration_seconds", "Time that these requests have waited for the application, as far as the worker could know of them.", func(s *stats.Snapshot) *latency.Histogram { return &s.Life.QueueTime }),
	durations("event_delivery_duration_seconds", "Time of deliveries to the event handlers of a service.", func(s *stats.Snapshot) *latency.Histogram { return &s.Life.Events }),
	counter("requests_total", "All that workers have served: requests and deliveries of events.", nil, ofLife(func(l *stats.Life) uint64 { return l.Requests })),
	counter("static_requests_total", "Requests that were answered without the application.", nil, ofLife(func(l *stats.Life) uint64 { return l.Static })),
	counter("routed_requests_total", "Requests that rules of the internal routing have answered.", nil, ofLife(func(l *stats.Life) uint64 { return l.Routed })),
	counter("sent_bytes_total", "Bytes of responses.", nil, ofLife(func(l *stats.Life) uint64 { return l.Sent })),
	counter("read_errors_total", "Requests that could not be read.", nil, ofLife(func(l *stats.Life) uint64 { return l.ReadErrors })),
	counter("write_errors_total", "Responses that could not be sent.", nil, ofLife(func(l *stats.Life) uint64 { return l.WriteErrors })),
	counter("exceptions_total", "Exceptions that the application has not caught.", nil, ofLife(func(l *stats.Life) uint64 { return l.Exceptions })),
}

// ofLife reads what is counted over reloads.
func ofLife(value func(l *stats.Life) uint64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) { add(float64(value(&s.Life))) }
}

// states are those of workers; "signal" stands for all signals.
var states = []string{string(stats.Busy), string(stats.Cheap), string(stats.Idle), string(stats.Paused), "signal"}

var workerFamilies = []family{
	gauge("workers", "Workers by what they do. A cheap one has no process.", []string{"state"}, func(s *stats.Snapshot, add add) {
		counts := map[string]int{}
		for i := range s.Workers {
			state := string(s.Workers[i].Status)
			if !slices.Contains(states, state) {
				state = "signal"
			}
			counts[state]++
		}
		for _, state := range states {
			add(float64(counts[state]), state)
		}
	}),
	counter("worker_harakiris_total", "Workers that were killed, as a request took too long.", nil, ofLife(func(l *stats.Life) uint64 { return l.Harakiris })),
	counter("worker_respawns_total", "Workers that came in the place of one that had ended.", nil, ofLife(func(l *stats.Life) uint64 { return l.Respawns })),
	gauge("requests_in_progress", "Requests in progress in the workers.", nil, func(s *stats.Snapshot, add add) {
		add(float64(s.InHand()))
	}),
	gauge("request_slots", "Requests that the workers can process at a time.", nil, func(s *stats.Snapshot, add add) {
		n := 0
		for i := range s.Workers {
			if s.Workers[i].PID != 0 {
				n += len(s.Workers[i].Cores)
			}
		}
		add(float64(n))
	}),
	gauge("worker_resident_memory_bytes", "Resident memory of a worker's process.", []string{"worker"}, ofWorkers(func(w *stats.Worker) float64 { return float64(w.RSS) })),
	gauge("worker_virtual_memory_bytes", "Virtual memory of a worker's process.", []string{"worker"}, ofWorkers(func(w *stats.Worker) float64 { return float64(w.VSZ) })),
	gauge("worker_start_time_seconds", "When a worker's process was started, in unix seconds.", []string{"worker"}, ofWorkers(func(w *stats.Worker) float64 { return stats.UnixSeconds(w.Started) })),
}

// ofWorkers reads one value of each worker with a process.
func ofWorkers(value func(w *stats.Worker) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Workers {
			if w := &s.Workers[i]; w.PID != 0 {
				add(value(w), strconv.Itoa(w.ID))
			}
		}
	}
}

var socketLabels = []string{"socket", "protocol"}

// ofSockets reads one value of each socket that workers serve. The same one may be there twice.
func ofSockets(value func(one *stats.Socket) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		seen := map[[2]string]bool{}
		for i := range s.Sockets {
			one := &s.Sockets[i]
			if key := [2]string{one.Name, one.Protocol}; !seen[key] {
				seen[key] = true
				add(value(one), key[:]...)
			}
		}
	}
}

var socketFamilies = []family{
	gauge("listen_queue_length", "Connections that wait to be accepted; 0 for unix sockets, of which the kernel does not tell.", socketLabels, ofSockets(func(one *stats.Socket) float64 { return float64(one.Queue) })),
	counter("listener_accepted_connections_total", "Connections that workers have accepted.", socketLabels, ofSockets(func(one *stats.Socket) float64 { return float64(one.Accepted) })),
	counter("listener_requests_total", "Requests that are done, by the socket that they came by.", socketLabels, ofSockets(func(one *stats.Socket) float64 { return float64(one.Requests) })),
	gauge("listen_queue_limit", "Connections that may wait to be accepted; 0 for unix sockets.", socketLabels, ofSockets(func(one *stats.Socket) float64 { return float64(one.MaxQueue) })),
}

var cacheLabels = []string{"cache"}

func ofCaches(value func(c *stats.Cache) uint64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Caches {
			add(float64(value(&s.Caches[i])), s.Caches[i].Name)
		}
	}
}

var sharedFamilies = []family{
	gauge("cache_items", "Items in a cache.", cacheLabels, ofCaches(func(c *stats.Cache) uint64 { return c.Items })),
	gauge("cache_items_limit", "Items that a cache has room for.", cacheLabels, ofCaches(func(c *stats.Cache) uint64 { return uint64(c.MaxItems) })),
	counter("cache_hits_total", "Look-ups in a cache that have found an item.", cacheLabels, ofCaches(func(c *stats.Cache) uint64 { return c.Hits })),
	counter("cache_misses_total", "Look-ups in a cache that have found none.", cacheLabels, ofCaches(func(c *stats.Cache) uint64 { return c.Misses })),
	counter("cache_full_total", "Items for which a cache had no room.", cacheLabels, ofCaches(func(c *stats.Cache) uint64 { return c.Full })),
	gauge("locks_held", "Locks of uwsgi.lock and of caches that a process holds.", nil, func(s *stats.Snapshot, add add) {
		n := 0
		for _, lock := range s.Locks {
			if lock.Holder != 0 {
				n++
			}
		}
		add(float64(n))
	}),
	counter("signals_total", "uwsgi signals by what became of them: delivered to a handler's process, or lost, as nobody could get them.", []string{"result"}, func(s *stats.Snapshot, add add) {
		add(float64(s.RoutedSignals), "delivered")
		add(float64(s.LostSignals), "lost")
	}),
	gauge("signal_queue_length", "uwsgi signals that wait for room.", nil, func(s *stats.Snapshot, add add) { add(float64(s.SignalQueue)) }),
	counter("application_metric_total", "Counters that --metric has added.", []string{"name"}, ofMetrics(uwsgiopts.Counter)),
	gauge("application_metric", "Other metrics that --metric has added.", []string{"name"}, ofMetrics(uwsgiopts.Gauge, uwsgiopts.Absolute, uwsgiopts.Alias)),
}

// poolFamilies are there once a worker has used a PostgreSQL server.
var poolFamilies = []family{
	gauge("postgres_pool_connections", "Connections to a PostgreSQL server that workers have, by whether a call uses them.", []string{"server", "state"}, func(s *stats.Snapshot, add add) {
		for _, p := range s.Pools {
			add(float64(p.InUse), p.Key, "in_use")
			add(float64(max(p.Open-p.InUse, 0)), p.Key, "idle")
		}
	}),
	gauge("postgres_pool_connections_limit", "Connections that the workers with a pool may have.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.Limit) })),
	gauge("postgres_pool_waiting", "Calls that wait for a connection.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.Waiting) })),
	counter("postgres_pool_opened_total", "Connections that were opened.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.Opened) })),
	counter("postgres_pool_acquired_total", "Times that a connection was lent to a call.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.Acquired) })),
	counter("postgres_pool_waits_total", "Calls that had to wait for a connection, as all were in use.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.Waited) })),
	counter("postgres_pool_wait_seconds_total", "Time that calls have waited for a connection.", poolLabels, ofPools(func(p *stats.Pool) float64 { return p.WaitTime.Seconds() })),
	counter("postgres_pool_timeouts_total", "Calls that have failed, as all connections were in use for too long.", poolLabels, ofPools(func(p *stats.Pool) float64 { return float64(p.TimedOut) })),
}

var poolLabels = []string{"server"}

func ofPools(value func(p *stats.Pool) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Pools {
			add(value(&s.Pools[i]), s.Pools[i].Key)
		}
	}
}

// ofMetrics reads those that the configuration has added, of some kinds.
func ofMetrics(kinds ...uwsgiopts.MetricKind) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		seen := map[string]bool{}
		for _, m := range s.Added {
			if slices.Contains(kinds, m.Kind) && !seen[m.Name] {
				seen[m.Name] = true
				add(float64(m.Value), m.Name)
			}
		}
	}
}

var besideFamilies = []family{
	counter("mule_tasks_total", "Messages and signals that a mule has handled.", []string{"mule"}, ofMules(func(a *stats.Auxiliary) float64 { return float64(a.Life.Tasks) })),
	counter("mule_respawns_total", "Processes that have replaced a mule's.", []string{"mule"}, ofMules(func(a *stats.Auxiliary) float64 { return float64(a.Life.Respawns) })),
	gauge("mule_busy", "Whether a mule handles something.", []string{"mule"}, ofMules(func(a *stats.Auxiliary) float64 { return number(a.Busy) })),
	counter("spooler_tasks_total", "Jobs that a spooler's process has done.", spoolerLabels, ofSpoolers(func(a *stats.Auxiliary) float64 { return float64(a.Life.Tasks) })),
	counter("spooler_respawns_total", "Processes that have replaced a spooler's.", spoolerLabels, ofSpoolers(func(a *stats.Auxiliary) float64 { return float64(a.Life.Respawns) })),
	gauge("spooler_busy", "Whether the spooler's process is running a job.", spoolerLabels, ofSpoolers(func(a *stats.Auxiliary) float64 { return number(a.Busy) })),
	gauge("daemon_up", "Whether an attached daemon runs. The label is its place in the configuration, from 0.", []string{"daemon"}, ofDaemons(func(d *stats.Daemon) float64 { return number(d.PID != 0) })),
	counter("daemon_respawns_total", "Times that an attached daemon was started again.", []string{"daemon"}, ofDaemons(func(d *stats.Daemon) float64 { return float64(d.Respawns) })),
}

var spoolerLabels = []string{"spooler", "directory"}

func ofMules(value func(a *stats.Auxiliary) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Mules {
			add(value(&s.Mules[i]), strconv.Itoa(s.Mules[i].ID))
		}
	}
}

func ofSpoolers(value func(a *stats.Auxiliary) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Spoolers {
			add(value(&s.Spoolers[i]), strconv.Itoa(s.Spoolers[i].ID), s.Spoolers[i].Dir)
		}
	}
}

func ofDaemons(value func(d *stats.Daemon) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		for i := range s.Daemons {
			add(value(&s.Daemons[i]), strconv.Itoa(i))
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
