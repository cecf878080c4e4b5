package stats

import "slices"

// Events is what the event gateway of a service does.
type Events struct {
	EventCounts
	Published        uint64        // by workers
	Waiting, Working int           // messages that no worker has, and that one has
	Sources          []EventSource // what the service listens to, or has listened to
}

// EventCounts are counted since the instance was started.
type EventCounts struct {
	Received    uint64
	Handled     uint64 // the handler has returned
	Failed      uint64 // the handler has raised
	Redelivered uint64 // the worker has ended
	Dropped     uint64 // nobody got it
}

// EventSource is a filter of messages or a timer. A message may be counted for several.
type EventSource struct {
	Kind   string // mqtt or timer
	Server string // the key of the broker; "" of timers
	Name   string // filter or function
	EventCounts
}

// Add adds other counts.
func (c *EventCounts) Add(other EventCounts) {
	c.Received += other.Received
	c.Handled += other.Handled
	c.Failed += other.Failed
	c.Redelivered += other.Redelivered
	c.Dropped += other.Dropped
}

// AddSource adds a source, or its counts to what is there of it.
func (e *Events) AddSource(source EventSource) {
	at := slices.IndexFunc(e.Sources, func(s EventSource) bool {
		return s.Kind == source.Kind && s.Server == source.Server && s.Name == source.Name
	})
	if at < 0 {
		e.Sources = append(e.Sources, source)
		return
	}
	e.Sources[at].Add(source.EventCounts)
}
