package workerspec

// Names under which workers count: see internal/shm.Tallies.
const (
	TallySocket  = "socket:"        // of a listening socket: its protocol, a zero byte and its name follow
	TallyPool    = "postgres-pool:" // of the connections to a PostgreSQL server: its key follows
	ReadingsPool = "postgres-pool:" // likewise
)

// The counters of a socket.
const (
	CountAccepted = iota // connections
	CountRequests        // that are done
)

// The counters of a pool.
const (
	CountOpened     = iota // connections
	CountAcquired          // times that one was lent
	CountWaited            // of these, after a wait
	CountWaitMicros        // of all waits
	CountTimedOut          // waits that were in vain
)

// The readings of a pool.
const (
	ReadingOpen    = iota // connections
	ReadingInUse          // of these, lent
	ReadingWaiting        // calls that wait for one
	ReadingLimit          // connections that may be open
)
