package exporter

import "envoxyd/master/stats"

var sourceLabels = []string{"kind", "server", "source"}

// eventFamilies are there for services with an event gateway.
var eventFamilies = []family{
	counter("events_received_total", "Messages from brokers and the service itself, and calls by the clock.", nil, ofEvents(func(e *stats.Events) float64 { return float64(e.Received) })),
	counter("events_total", "Events that are done, by how they ended: handled, failed, or dropped.", []string{"result"}, func(s *stats.Snapshot, add add) {
		if e := s.Events; e != nil {
			add(float64(e.Handled), "handled")
			add(float64(e.Failed), "failed")
			add(float64(e.Dropped), "dropped")
		}
	}),
	counter("events_redelivered_total", "Events that were given to another worker, as the first one has ended.", nil, ofEvents(func(e *stats.Events) float64 { return float64(e.Redelivered) })),
	counter("events_published_total", "Messages that workers have published.", nil, ofEvents(func(e *stats.Events) float64 { return float64(e.Published) })),
	gauge("events_waiting", "Messages that wait for a worker.", nil, ofEvents(func(e *stats.Events) float64 { return float64(e.Waiting) })),
	gauge("events_in_flight", "Messages in progress in the workers.", nil, ofEvents(func(e *stats.Events) float64 { return float64(e.Working) })),
	counter("event_source_received_total", "Events of one source: the filter of a broker's messages, or a timer. A message may be counted for several.", sourceLabels, ofSources(func(e *stats.EventSource) float64 { return float64(e.Received) })),
	counter("event_source_handled_total", "Events of one source whose handler has returned.", sourceLabels, ofSources(func(e *stats.EventSource) float64 { return float64(e.Handled) })),
	counter("event_source_failed_total", "Events of one source whose handler has raised.", sourceLabels, ofSources(func(e *stats.EventSource) float64 { return float64(e.Failed) })),
	counter("event_source_redelivered_total", "Events of one source that were given to another worker.", sourceLabels, ofSources(func(e *stats.EventSource) float64 { return float64(e.Redelivered) })),
	counter("event_source_dropped_total", "Events of one source that nobody got.", sourceLabels, ofSources(func(e *stats.EventSource) float64 { return float64(e.Dropped) })),
	gauge("connector_up", "Whether a server that the service needs answers, by its place in envoxy.json.", []string{"connector"}, func(s *stats.Snapshot, add add) {
		for _, c := range s.Connectors {
			if c.Known() {
				add(number(c.Up()), c.Name)
			}
		}
	}),
}

func ofEvents(value func(e *stats.Events) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		if s.Events != nil {
			add(value(s.Events))
		}
	}
}

func ofSources(value func(e *stats.EventSource) float64) func(*stats.Snapshot, add) {
	return func(s *stats.Snapshot, add add) {
		if s.Events == nil {
			return
		}
		for i := range s.Events.Sources {
			one := &s.Events.Sources[i]
			add(value(one), one.Kind, one.Server, one.Name)
		}
	}
}
