package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/transports/mqtt"
)

// item is one message on its way to a handler.
type item struct {
	server   string
	message  *mqtt.Message
	owner    int           // the process that alone has the handler; 0: every worker has it
	attempts int           // how many workers have ended while they had it
	pending  *atomic.Int32 // how many items of this message are not settled
}

// lane is the messages of one topic, which are handled one after the other.
type lane struct {
	key   laneKey
	items []*item
	busy  bool      // some of them are with a worker
	after time.Time // not before
}

type laneKey struct {
	server, topic string
	owner         int
}

// queue orders what is to be handled: in sequence within a topic, topics in turn.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	lanes   map[laneKey]*lane
	ready   []*lane // lanes with items that nobody works on
	waiting int     // items that are in no worker's hands
	working int     // items that are
	pace    time.Duration
	closed  bool
}

func newQueue() *queue {
	q := &queue{lanes: map[laneKey]*lane{}}
	q.changed.L = &q.mu
	return q
}

// Bounds of the queue. Messages of QoS 1 and 2 are bounded by the broker, which waits for
// acknowledgements; of the others so many are held before the broker is made to wait.
const (
	queueLimit   = 10000
	longestBlock = 5 * time.Second
)

// add queues an item. A message of QoS 0 waits for room at first; false: there was
// none for so long that the message is lost.
func (q *queue) add(i *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i.message.QoS == 0 && q.waiting >= queueLimit && !q.room() {
		return false
	}
	if q.closed {
		return false
	}
	key := laneKey{i.server, i.message.Topic, i.owner}
	l := q.lanes[key]
	if l == nil {
		l = &lane{key: key}
		q.lanes[key] = l
	}
	l.items = append(l.items, i)
	q.waiting++
	if !l.busy && len(l.items) == 1 {
		q.ready = append(q.ready, l)
		q.changed.Signal()
	}
	return true
}

func (q *queue) room() bool {
	late := time.AfterFunc(longestBlock, q.changed.Broadcast)
	defer late.Stop()
	until := time.Now().Add(longestBlock)
	for q.waiting >= queueLimit && !q.closed {
		if !time.Now().Before(until) {
			return false
		}
		q.changed.Wait()
	}
	return true
}

// A delivery takes as many messages of a topic as will be handled in this time, so that
// the way to a worker is paid once for many; a slow handler gets them one by one.
const (
	batchTime = 20 * time.Millisecond
	batchMost = 64
	batchSize = 1 << 20 // bytes
)

// take waits for a topic with messages and returns the first of them; nil: the queue
// is closed. The lane is the caller's until settle.
func (q *queue) take() (*lane, []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed {
			return nil, nil
		}
		if l := q.next(); l != nil {
			n, size := 0, 0
			most := batchMost
			if q.pace > 0 {
				most = int(min(max(batchTime/q.pace, 1), batchMost))
			}
			for n < len(l.items) && n < most && (n == 0 || size+len(l.items[n].message.Payload) <= batchSize) {
				size += len(l.items[n].message.Payload)
				n++
			}
			if l.items[0].attempts > 0 {
				n = 1 // it may have been what ended a worker
			}
			batch := l.items[:n:n]
			l.items = l.items[n:]
			l.busy = true
			q.waiting -= n
			q.working += n
			return l, batch
		}
		q.changed.Wait()
	}
}

// next is the first lane whose time has come. A pause of another one ends with a wake-up.
func (q *queue) next() *lane {
	now := time.Now()
	for i, l := range q.ready {
		if l.after.After(now) {
			continue
		}
		q.ready = append(q.ready[:i], q.ready[i+1:]...)
		return l
	}
	return nil
}

// settle gives the lane back: what is left of the batch goes before everything else of its
// topic, after a pause. took is how long the handled messages took.
func (q *queue) settle(l *lane, batch, left []*item, took, pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	handled := len(batch) - len(left)
	q.working -= len(batch)
	q.waiting += len(left)
	if handled > 0 {
		pace := took / time.Duration(handled)
		q.pace += (pace - q.pace) / 4
	}
	if len(left) > 0 {
		l.items = append(append(make([]*item, 0, len(left)+len(l.items)), left...), l.items...)
	}
	l.busy = false
	if pause > 0 {
		l.after = time.Now().Add(pause)
		time.AfterFunc(pause, q.changed.Broadcast)
	}
	if len(l.items) == 0 {
		delete(q.lanes, l.key)
	} else {
		q.ready = append(q.ready, l)
	}
	q.changed.Broadcast()
}

// drop removes the messages that only one process could have handled.
func (q *queue) drop(owner int) (dropped []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, l := range q.lanes {
		if key.owner == owner {
			dropped = append(dropped, l.items...)
			q.waiting -= len(l.items)
			l.items = nil
			if !l.busy {
				delete(q.lanes, key)
			}
		}
	}
	kept := q.ready[:0]
	for _, l := range q.ready {
		if len(l.items) > 0 {
			kept = append(kept, l)
		}
	}
	q.ready = kept
	q.changed.Broadcast()
	return dropped
}

// idle waits until nothing is queued or with a worker; false when the time is over before.
func (q *queue) idle(patience time.Duration) bool {
	late := time.AfterFunc(patience, q.changed.Broadcast)
	defer late.Stop()
	until := time.Now().Add(patience)
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting+q.working > 0 {
		if !time.Now().Before(until) {
			return false
		}
		q.changed.Wait()
	}
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.changed.Broadcast()
}

// counts is how many messages wait and how many are with workers.
func (q *queue) counts() (waiting, working int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.working
}
