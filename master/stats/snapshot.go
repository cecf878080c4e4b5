// Package stats tells how the instance is doing. A Snapshot is the state at one moment;
// writers turn it into text, servers and pushers carry that to whoever wants it.
//
// It knows no master: a Host makes the snapshots.
package stats

import (
	"context"
	"time"

	"envoxyd/internal/latency"
	"envoxyd/internal/shm"
)

// Host is what this package needs of the program whose statistics these are.
type Host interface {
	// Snapshot is the state now. Only the goroutine that owns the state may call it.
	Snapshot() *Snapshot
	// Ask has the owner of the state make a snapshot, and returns it; nil when ctx has ended
	// before. It is called on any goroutine.
	Ask(ctx context.Context) *Snapshot
	// Beside does work on a goroutine that is waited for at the end, and then, if there still
	// is an owner of the state, what work returns on its goroutine. ctx ends with the program.
	Beside(work func(ctx context.Context) (then func()))
	// Logf is called on any goroutine.
	Logf(format string, args ...any)
}

// Snapshot is the state at one moment. Whoever asks for one gets a new one, to keep and to change.
type Snapshot struct {
	Version       string
	PID, UID, GID int
	Dir           string    // where the instance was started
	Started       time.Time // when the master was
	Loading       time.Time // since when a reload loads code beside what serves; zero: none does

	Life    Life     // what was counted since the instance was started
	Reloads []Reload // the last ones; the oldest comes first

	App     App
	Sockets []Socket // that workers accept connections from
	Workers []Worker // in the order of their IDs
	Daemons []Daemon
	Crons   []Cron
	Locks   []Lock
	Caches  []Cache

	Mules    []Auxiliary
	Spoolers []Auxiliary

	Pools      []Pool      // connections to PostgreSQL servers
	Events     *Events     // nil: there is no event gateway
	Connectors []Connector // of an Envoxy service, by name

	RoutedSignals uint64 // uwsgi signals that were passed on
	LostSignals   uint64 // those that nobody could get
	SignalQueue   int    // those that wait for room
	Overloaded    uint64 // seconds in which no worker was idle

	ShowMetrics *MetricsDetail // nil: metrics are not collected
	Added       []Metric       // those that the configuration has added

	Memory MemoryReport // what Measure reads of each worker, at least
}

// InHand counts the requests that workers are busy with.
func (s *Snapshot) InHand() (n int) {
	for i := range s.Workers {
		for j := range s.Workers[i].Cores {
			if s.Workers[i].Cores[j].Request != nil {
				n++
			}
		}
	}
	return n
}

// UnixSeconds is a time in seconds since 1970, to the millisecond; 0 for the zero time.
func UnixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// App is the application that the workers run.
type App struct {
	Name     string // of an Envoxy service; "": it has none
	Chdir    string // absolute; "": none was asked for
	LoadTime time.Duration
}

// Auxiliary is a process beside the workers.
type Auxiliary struct {
	ID       int
	PID      int    // 0: there is none
	Runs     string // of a mule: a file or function; "": it waits for messages
	Dir      string // of a spooler
	Busy     bool
	Tasks    uint64            // messages, signals and jobs that are done
	Times    latency.Histogram // how long each of them took, since the process's generation began
	Respawns int
	Life     AuxiliaryHistory
}

// AuxiliaryHistory is what processes in one place have done since the instance was started.
type AuxiliaryHistory struct{ Tasks, Respawns uint64 }

// Socket is a listening socket. The kernel tells of no queue for unix sockets: both numbers are 0.
type Socket struct {
	Name     string
	Protocol string
	Shared   bool // it stands for one of --shared-socket
	Queue    int  // connections that wait
	MaxQueue int  // connections that may wait

	Accepted uint64 // connections, since the instance was started, as the next
	Requests uint64 // that are done
}

// Pool is the connections to one PostgreSQL server that workers have.
type Pool struct {
	Key                         string // of the server in envoxy.json
	Open, InUse, Waiting, Limit int    // connections now; calls that wait for one; connections that may be open

	// Since the instance was started:
	Opened   uint64 // connections
	Acquired uint64 // times that one was lent
	Waited   uint64 // of these, after a wait
	TimedOut uint64 // waits that were in vain
	WaitTime time.Duration
}

// Pool is the one with that key, which is made if it is not there.
func (s *Snapshot) Pool(key string) *Pool {
	for i := range s.Pools {
		if s.Pools[i].Key == key {
			return &s.Pools[i]
		}
	}
	s.Pools = append(s.Pools, Pool{Key: key})
	return &s.Pools[len(s.Pools)-1]
}

// Counters are what is counted of one core, or sums of that. They only grow; those of a core
// go on when its worker is respawned, and begin anew with a reload.
type Counters struct {
	Requests    uint64        // that are done
	Static      uint64        // of these, answered without the application
	Routed      uint64        // of these, answered by rules of the internal routing
	Exceptions  uint64        // that the application has not caught
	WriteErrors uint64        // responses that could not be sent
	ReadErrors  uint64        // requests that could not be read
	Sent        uint64        // bytes
	RunningTime time.Duration // spent in requests
	Signals     uint64        // uwsgi signals that were handled
}

// Add adds other counts.
func (c *Counters) Add(other Counters) {
	c.Requests += other.Requests
	c.Static += other.Static
	c.Routed += other.Routed
	c.Exceptions += other.Exceptions
	c.WriteErrors += other.WriteErrors
	c.ReadErrors += other.ReadErrors
	c.Sent += other.Sent
	c.RunningTime += other.RunningTime
	c.Signals += other.Signals
}

// Timing is how long requests take, and how they are answered.
type Timing struct {
	Responses [6]uint64         // requests by the class of their status; 0: no status was sent
	Latency   latency.Histogram // of requests, from where the application has them to the end of the response
	QueueTime latency.Histogram // of requests, from where the worker could know of them to where the application has them
	Events    latency.Histogram // of deliveries to a service's event handlers
}

// add adds what a core has counted.
func (t *Timing) add(core *shm.Timing) {
	for class := range t.Responses {
		t.Responses[class] += core.Responses[class].Load()
	}
	core.Application.AddTo(&t.Latency)
	core.Queue.AddTo(&t.QueueTime)
	core.Events.AddTo(&t.Events)
}

// Life is what was counted since the instance was started. Neither reloads and respawns nor upgrades reset it.
type Life struct {
	Counters
	Timing
	Harakiris     uint64
	Respawns      uint64 // workers that came in the place of one that had ended
	Reloads       uint64 // that have gone well
	FailedReloads uint64
}

// AddRow adds what was counted in a row of a scoreboard.
func (l *Life) AddRow(board *shm.Board, row int) {
	for number := range board.Cores() {
		l.Add(readCounters(board.Core(row, number)))
		l.add(board.Timing(row, number))
	}
}

// Reload is a reload that is over.
type Reload struct {
	At      time.Time // when it began
	Took    time.Duration
	Problem string // why the previous code and configuration were kept; "": it has gone well
}

// AverageTime is the mean time of a request.
func (c *Counters) AverageTime() time.Duration {
	return time.Duration(uint64(c.RunningTime) / max(c.Requests, 1))
}

// Status is what a worker does, in uWSGI's word.
type Status string

// What workers do.
const (
	Cheap  Status = "cheap" // there is no process
	Idle   Status = "idle"
	Paused Status = "pause" // no core accepts connections
	Busy   Status = "busy"  // a core has a request in hand
	// "sigN": a core handles uwsgi signal N
)

// Worker is one worker's place.
type Worker struct {
	ID        int // from 1
	PID       int // 0: there is no process
	Status    Status
	Accepting bool // the process has come up and has not been told to leave
	Harakiris int  // processes that were killed for one

	Counters        // sums over the cores
	Timing          // likewise
	Delta    uint64 // requests of the process that is there now

	Started time.Time // the process that is there now; zero: there is none
	Starts  int       // processes so far; 0: there is none now

	RSS, VSZ int64 // bytes; 0 before Measure has read them
	USS, PSS int64

	Cores []Core
}

// Core is one core of a worker.
type Core struct {
	ID int // from 0
	Counters
	Request *Request // in hand; nil: none
	Signal  int      // the uwsgi signal that it handles; -1: none
}

// Request is a request in hand, as far as the scoreboard knows it: a long URI is cut, and
// headers, which may be secret, are not there.
type Request struct {
	Addr, Method, URI string
	Since             time.Time
	Deadline          time.Time // when harakiri is due; zero: never
}

// Daemon is an attached command.
type Daemon struct {
	Command  string
	PID      int // 0: there is no process at the moment
	Respawns int
}

// Cron is a job that runs at its times.
type Cron struct {
	When    [5]int // minute, hour, day, month, weekday: -1 is any, -N every N
	Command string
	Unique  bool      // not while the last run lasts
	PID     int       // of the last run; 0: it does not run
	Started time.Time // when the run with that PID was begun
}

// Lock is a lock that processes share.
type Lock struct {
	Name   string
	Holder int // process; 0: it is free
}

// Cache is a cache that processes share.
type Cache struct {
	Name      string
	Hash      string
	HashSize  int64
	KeySize   int64 // bytes
	MaxItems  int64
	Blocks    int64
	BlockSize int64 // bytes

	Items, Hits, Misses uint64
	Full                uint64 // items that found no room
	LastModified        int64  // unix seconds; 0: never, or it is not kept
}

// ListenQueue is how many connections wait on the fullest of the sockets.
func (s *Snapshot) ListenQueue() (longest int) {
	for _, socket := range s.Sockets {
		longest = max(longest, socket.Queue)
	}
	return longest
}

// Totals are sums over all workers.
type Totals struct {
	Counters
	Harakiris int
	Starts    int
	RSS, VSZ  int64 // bytes
	Active    int   // workers with a process
	Busy      int
	Idle      int
}

// Totals adds up the workers.
func (s *Snapshot) Totals() (t Totals) {
	for i := range s.Workers {
		w := &s.Workers[i]
		t.Add(w.Counters)
		t.Harakiris += w.Harakiris
		t.Starts += w.Starts
		t.RSS += w.RSS
		t.VSZ += w.VSZ
		switch w.Status {
		case Cheap:
			continue
		case Busy:
			t.Busy++
		case Idle:
			t.Idle++
		}
		t.Active++
	}
	return t
}
