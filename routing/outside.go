package routing

import "time"

// Outside is the rest of the server, as far as rules use it. Its methods are called by Run, on its goroutine, only for
// rules that match. Texts are the request's: an implementation that keeps one copies it. Values that it returns stay
// valid until the request's Reset.
type Outside interface {
	// Now is the time.
	Now() time.Time
	// AppendInfo appends ${uwsgi[what]} of the instance or the request.
	AppendInfo(to []byte, what Info) []byte
	// MIME returns the type for a file's name; "" when there is none.
	MIME(name string) string

	// CacheGet returns an item and the unix time at which it expires, 0 for never. A cache that there is not has no items.
	CacheGet(cache string, key []byte) (value []byte, expires int64, found bool)
	// CacheSet stores an item for that many seconds, 0 for ever, unless there is one. It reports whether it has.
	CacheSet(cache string, key, value []byte, seconds int64) bool
	// CacheChange calculates with an integer of a cache, as uwsgi.cache_inc and its kin do.
	CacheChange(cache string, key []byte, op Operation, by, seconds int64) bool

	// Metric returns a metric's value.
	Metric(name string) (int64, bool)
	// MetricChange calculates with a metric; it reports whether there is one.
	MetricChange(name string, op Operation, by int64) bool

	// Signal raises a uwsgi signal.
	Signal(number byte) error
	// Alarm raises an alarm.
	Alarm(name string, message []byte)
	// RPC calls a function; server is "" for this instance's own.
	RPC(server, function string, args [][]byte) ([]byte, error)
}

// Info is what ${uwsgi[…]} tells.
type Info uint8

// Values of ${uwsgi[…]}; ${uwsgi[status]} is the request's Status.
const (
	WorkerID     Info = iota // wid
	PID                      // pid
	UUID                     // uuid of the instance
	ResponseTime             // rtime: of the request, µs
	ListenQueue              // lq: connections that wait
	ResponseSize             // rsize: bytes of the body
	Started                  // sor: when the request came, unix time in µs
)

// infos are their names.
var infos = map[string]Info{"wid": WorkerID, "pid": PID, "uuid": UUID, "rtime": ResponseTime, "lq": ListenQueue, "rsize": ResponseSize, "sor": Started}

// Operation is what is done with a number.
type Operation byte

// Operations on metrics and on integers of caches. A division by zero gives zero.
const (
	Add      Operation = '+'
	Subtract Operation = '-'
	Multiply Operation = '*'
	Divide   Operation = '/'
	Set      Operation = '=' // of metrics alone
)

// of calculates, wrapping around as the hardware does.
func (op Operation) of(a, b int64) int64 {
	switch op {
	case Add:
		return a + b
	case Subtract:
		return a - b
	case Multiply:
		return a * b
	case Divide:
		if b == 0 {
			return 0
		}
		return a / b
	}
	return b
}
