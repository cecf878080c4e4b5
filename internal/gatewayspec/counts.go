package gatewayspec

// Names under which the gateway counts events: see internal/shm.Tallies.
const (
	TallyEvents = "events"       // all of them
	TallyFilter = "event-mqtt:"  // of one filter: the key of the broker, a zero byte and the filter follow
	TallyTimer  = "event-timer:" // of one timer: its name follows
)

// The counters under such a name.
const (
	CountReceived    = iota // from brokers, the service itself and the clock
	CountHandled            // its handler has returned
	CountFailed             // its handler has raised, or there was none any more
	CountRedelivered        // its worker has ended
	CountDropped            // nobody got it
	CountPublished          // by workers
)
