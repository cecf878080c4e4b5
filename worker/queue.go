package worker

import (
	"sync"
	"sync/atomic"

	"envoxyd/internal/eventfd"
	"envoxyd/internal/monotime"
)

// request is what a goroutine gives back to the slots: a request that is whole,
// or only a connection to be waited for again.
type request struct {
	conn     *conn
	parsed   parsed
	body     *body
	rest     []byte    // what was read behind the request
	arriving *arriving // the body, if the application starts before it is there
	idle     bool      // no request: the connection was answered and is kept
	since    int64     // when it was put into the queue, by the monotonic clock
	text     []byte    // of a stream in memory: the request as it would be read; nil: it is parsed

	errand *errandOutcome // the request was answered off the core; nil: it is to be served

	postponed bool    // rules have seen the request, and nothing but the application answers it
	routed    *routed // what rules know of such a request; nil: nothing
	span      span    // of such a request
}

// requestQueue hands requests to the first slot that leads. Its descriptor
// is in the reactor's epoll set.
type requestQueue struct {
	fd    int
	count atomic.Int32
	mu    sync.Mutex
	items []*request
}

func (q *requestQueue) init() error {
	fd, err := eventfd.New()
	q.fd = fd
	return err
}

func (q *requestQueue) put(r *request) {
	r.since = monotime.Now()
	q.mu.Lock()
	q.items = append(q.items, r)
	first := len(q.items) == 1 // who leads looks again before it waits, and has been told of the others
	q.count.Store(int32(len(q.items)))
	q.mu.Unlock()
	if first {
		eventfd.Add(q.fd)
	}
}

// take returns the oldest request, nil if there is none. It costs one atomic load then.
func (q *requestQueue) take() *request {
	if q.count.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil
	}
	r := q.items[0]
	q.items[0] = nil
	q.items = q.items[1:]
	q.count.Store(int32(len(q.items)))
	return r
}

func (q *requestQueue) len() int { return int(q.count.Load()) }

// clear makes the descriptor unreadable again, unless there is more to take.
func (q *requestQueue) clear() {
	if q.len() > 1 {
		return
	}
	eventfd.Clear(q.fd)
}
