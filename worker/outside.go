package worker

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/marshal"
	"envoxyd/routing"
	"envoxyd/worker/sharedmem"
)

// outside is the rest of the server, as rules use it. Caches, metrics, signals and alarms need no Python. Functions of the
// application, caches of other instances and the name of the process do: rules that ask for these wait for Python's lock
// (routing.Program.Waits), and the slot that runs them does not hold the reactor's lock meanwhile.
type outside struct {
	w      *Worker
	start  int64    // of the request, as slot.now
	sent   uint64   // of the body, in bytes
	values [][]byte // room for what caches give; the first inUse of them are the request's
	inUse  int
}

// reset begins with another request, which has come at that time.
func (o *outside) reset(start int64) { o.start, o.sent, o.inUse = start, 0, 0 }

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
		return strconv.AppendUint(to, uint64(o.w.listenQueue()), 10)
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
	if routing.Elsewhere(cache) {
		answer := o.call("cache_get", arguments(cache, key))
		return answer, 0, answer != nil
	}
	if o.inUse == len(o.values) {
		o.values = append(o.values, nil)
	}
	room := &o.values[o.inUse]
	value, millis, found := o.w.caches.Get(cache, key, *room)
	*room = value
	if found {
		o.inUse++
	}
	return value, int64(millis / 1000), found
}

// CacheSet implements routing.Outside.
func (o *outside) CacheSet(cache string, key, value []byte, seconds int64) bool {
	if routing.Elsewhere(cache) {
		return o.call("cache_set", arguments(cache, key, value, seconds)) != nil
	}
	done, news := o.w.caches.Add(cache, key, value, seconds)
	o.w.tellOfCache(cache, news)
	return done
}

var cacheMath = map[routing.Operation]sharedmem.Math{
	routing.Add: sharedmem.Add, routing.Subtract: sharedmem.Subtract, routing.Multiply: sharedmem.Multiply, routing.Divide: sharedmem.Divide,
}

// CacheChange implements routing.Outside.
func (o *outside) CacheChange(cache string, key []byte, op routing.Operation, by, seconds int64) bool {
	if routing.Elsewhere(cache) {
		return o.call("cache_change", arguments(cache, key, []byte{byte(op)}, by, seconds)) != nil
	}
	done, news := o.w.caches.Calculate(cache, key, cacheMath[op], by, seconds)
	o.w.tellOfCache(cache, news)
	return done
}

// Metric implements routing.Outside. As uwsgi.metric_get has it, a metric that there is not is 0.
func (o *outside) Metric(name string) (int64, bool) { return o.w.metrics.value(name), true }

// MetricChange implements routing.Outside.
func (o *outside) MetricChange(name string, op routing.Operation, by int64) bool {
	return o.w.metrics.change(name, op, by)
}

// Signal implements routing.Outside.
func (o *outside) Signal(number byte) error {
	return o.w.tell(workerspec.Event{Kind: workerspec.EventRaise, Signal: &workerspec.SignalOrder{Number: int(number)}})
}

// alarmSize is how much of an alarm's text is sent, in characters.
const alarmSize = 5000

// Alarm implements routing.Outside.
func (o *outside) Alarm(name string, message []byte) {
	text := []rune(strings.ToValidUTF8(string(message), "\ufffd"))
	if err := o.w.tell(workerspec.Event{Kind: "alarm", Option: name, Text: string(text[:min(len(text), alarmSize)])}); err != nil {
		o.w.logf("the alarm %q was not raised: %v", name, err)
	}
}

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

// listenQueue is how many connections wait at the first socket, as uwsgi.listen_queue tells.
func (w *Worker) listenQueue() uint32 {
	if len(w.listeners) == 0 {
		return 0
	}
	info, err := unix.GetsockoptTCPInfo(w.listeners[0].fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil { // it is a unix socket
		return 0
	}
	return info.Unacked // of a listener, its queue
}

// cacheNews is when something of a cache was last told, by its name.
type cacheNews struct {
	mu    sync.Mutex
	limit map[string]*logLimit
}

// tellOfCache logs what has happened to a cache.
func (w *Worker) tellOfCache(cache string, news sharedmem.News) {
	if news.Freed > 0 {
		w.logf("cache %q: %d items have expired", cache, news.Freed)
	}
	if !news.Full {
		return
	}
	w.cacheNews.mu.Lock()
	limit := w.cacheNews.limit[cache]
	if limit == nil {
		limit = new(logLimit)
		if w.cacheNews.limit == nil {
			w.cacheNews.limit = map[string]*logLimit{}
		}
		w.cacheNews.limit[cache] = limit
	}
	w.cacheNews.mu.Unlock()
	w.logLimited(limit, "*** cache %q is full: an item could not be stored ***", cache)
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
