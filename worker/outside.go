package worker

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/protocol/marshal"
	"envoxyd/routing"
)

// outside is the rest of the server, as rules use it. Caches, metrics, signals and functions are Python's: each question takes
// its lock, so they cost what a call of the uwsgi module does.
type outside struct {
	w     *Worker
	start int64  // of the request, as slot.now
	sent  uint64 // of the body, in bytes
}

// Now implements routing.Outside.
func (o *outside) Now() time.Time { return time.Now() }

// AppendInfo implements routing.Outside.
func (o *outside) AppendInfo(to []byte, what routing.Info) []byte {
	switch what {
	case routing.WorkerID:
		return strconv.AppendInt(to, int64(o.w.id), 10)
	case routing.PID:
		return strconv.AppendInt(to, int64(os.Getpid()), 10)
	case routing.UUID:
		return append(to, o.w.spec.UUID...)
	case routing.ResponseTime:
		return strconv.AppendInt(to, (monotime.Now()-o.start)/1000, 10)
	case routing.ListenQueue:
		return append(to, ask("listen_queue", marshal.AppendTuple(nil, 0))...)
	case routing.ResponseSize:
		return strconv.AppendUint(to, o.sent, 10)
	case routing.Started:
		return strconv.AppendInt(to, time.Now().Add(-time.Duration(monotime.Now()-o.start)).UnixMicro(), 10)
	}
	return to
}

// MIME implements routing.Outside.
func (o *outside) MIME(name string) string { return o.w.files.server.Type(name) }

// CacheGet implements routing.Outside.
func (o *outside) CacheGet(cache string, key []byte) (value []byte, expires int64, found bool) {
	answer := ask("cache_get", arguments(cache, key))
	if len(answer) < 8 {
		return nil, 0, false
	}
	return answer[8:], int64(binary.LittleEndian.Uint64(answer)), true
}

// CacheSet implements routing.Outside.
func (o *outside) CacheSet(cache string, key, value []byte, seconds int64) bool {
	return ask("cache_set", arguments(cache, key, value, seconds)) != nil
}

// CacheChange implements routing.Outside.
func (o *outside) CacheChange(cache string, key []byte, op routing.Operation, by, seconds int64) bool {
	return ask("cache_change", arguments(cache, key, []byte{byte(op)}, by, seconds)) != nil
}

// Metric implements routing.Outside.
func (o *outside) Metric(name string) (int64, bool) {
	answer := ask("metric", arguments(name))
	if len(answer) != 8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(answer)), true
}

// MetricChange implements routing.Outside.
func (o *outside) MetricChange(name string, op routing.Operation, by int64) bool {
	return ask("metric_change", arguments(name, []byte{byte(op)}, by)) != nil
}

// Signal implements routing.Outside.
func (o *outside) Signal(number byte) error {
	if ask("signal", arguments(int64(number))) == nil {
		return errors.New("the signal could not be raised")
	}
	return nil
}

// Alarm implements routing.Outside.
func (o *outside) Alarm(name string, message []byte) { ask("alarm", arguments(name, message)) }

// RPC implements routing.Outside.
func (o *outside) RPC(server, function string, args [][]byte) ([]byte, error) {
	text := marshal.AppendTuple(nil, 2+len(args))
	text = marshal.AppendText(text, server)
	text = marshal.AppendBytes(text, function)
	for _, arg := range args {
		text = marshal.AppendBytes(text, arg)
	}
	answer := o.call("rpc", text)
	if answer == nil {
		return nil, errors.New("the function has not answered")
	}
	return answer, nil
}

// call asks for what is the application's own code. In a loop that would let other coroutines go on: in the midst of a rule
// they cannot, and so another thread asks.
func (o *outside) call(what string, arguments []byte) []byte {
	if !o.w.reactor.looped {
		return ask(what, arguments)
	}
	answer := make(chan []byte)
	go func() { answer <- ask(what, arguments) }() // waited for below
	return <-answer
}

// arguments are marshalled for Python: texts, bytes and numbers.
func arguments(values ...any) []byte {
	text := marshal.AppendTuple(nil, len(values))
	for _, value := range values {
		switch value := value.(type) {
		case string:
			text = marshal.AppendText(text, value)
		case []byte:
			text = marshal.AppendBytes(text, value)
		case int64:
			text = marshal.AppendInt(text, value)
		}
	}
	return text
}
