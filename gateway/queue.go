package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/transports/mqtt"
)

// origin is the connection by which messages come: of those with a broker it is the first one, or the one of shared subscriptions.
type origin struct {
	server string
	shared bool
}

// item is one message on its way to a handler.
type item struct {
	origin
	message  *mqtt.Message
	owner    int           // the process that alone has the handler; 0: every worker has it
	attempts int           // how many workers have ended while they had it
	pending  *atomic.Int32 // how many items of this message are not acknowledged
	tallies  tallies
}

// lane is the messages of one topic, which are handled one after the other.
type lane struct {
	key   laneKey
	items []*item
	busy  bool      // some of them are with a worker
	after time.Time // not before
}

type laneKey struct {
	origin
	topic string
	owner int
}

// queue orders what is to be handled: in sequence within a topic, topics in turn.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	lanes   map[laneKey]*lane
	ready   []*lane // lanes with items that nobody works on
	waiting int     // items that no worker has
	bytes   int     // of their payloads
	working int     // items that are
	out     int     // deliveries that are under way
	pace    time.Duration
	late    bool // messages have waited for joinDelay although a worker was free
	armed   bool // the timer for that runs
	closed  bool
}

func newQueue() *queue {
	q := &queue{lanes: map[laneKey]*lane{}}
	q.changed.L = &q.mu
	return q
}

// Bounds of the queue. So many messages of QoS 0 are held before the broker is made to
// wait, and after longestBlock loses them. Those of QoS 1 and 2 are never lost; mostly the
// broker itself bounds them, since it waits for acknowledgements.
const (
	queueLimit    = 10000
	queueBytes    = 64 << 20
	longestBlock  = 5 * time.Second
	reliableTimes = 8 // times as much is held of QoS 1 and 2
)

// add queues an item. It may wait for room; false: there was none for so long that the
// message is lost, or the queue is closed.
func (q *queue) add(i *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i.message.QoS == 0 {
		if !q.room(1, time.Now().Add(longestBlock)) {
			return false
		}
	} else if !q.room(reliableTimes, time.Time{}) {
		return false
	}
	key := laneKey{i.origin, i.message.Topic, i.owner}
	l := q.lanes[key]
	if l == nil {
		l = &lane{key: key}
		q.lanes[key] = l
	}
	l.items = append(l.items, i)
	q.waiting++
	q.bytes += len(i.message.Payload)
	if !l.busy && len(l.items) == 1 {
		q.ready = append(q.ready, l)
		q.changed.Broadcast()
	}
	return true
}

// room waits until there is some, or until then; a zero time: for as long as it takes.
func (q *queue) room(times int, until time.Time) bool {
	full := func() bool { return q.waiting >= times*queueLimit || q.bytes >= times*queueBytes }
	if !full() {
		return !q.closed
	}
	if !until.IsZero() {
		late := time.AfterFunc(time.Until(until), q.wake)
		defer late.Stop()
	}
	for full() && !q.closed {
		if !until.IsZero() && !time.Now().Before(until) {
			return false
		}
		q.changed.Wait()
	}
	return !q.closed
}

// wake has all waiters check their condition again.
func (q *queue) wake() {
	q.mu.Lock() // a waiter has either not checked its condition yet, or waits
	defer q.mu.Unlock()
	q.changed.Broadcast()
}

// A delivery takes as many messages as will be handled in this time, of several topics if
// many wait, so that the way to a worker is paid once for many; a slow handler gets them
// one by one.
const (
	batchTime = 20 * time.Millisecond
	batchMost = 64
	batchSize = 1 << 20 // bytes
)

// delivery is what one worker gets at a time: the first messages of some topics of one
// broker, each topic's together.
type delivery struct {
	origin
	owner int
	lanes []*lane
	items []*item
}

// take waits for messages and returns some; nil: the queue is closed. Their topics are
// the caller's until release. Messages are shared out among so many takers.
func (q *queue) take(takers int) *delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed {
			return nil
		}
		if l := q.first(); l != nil {
			most := batchMost
			if q.pace > 0 {
				most = int(min(max(batchTime/q.pace, 1), batchMost))
			}
			d := &delivery{origin: l.key.origin, owner: l.key.owner}
			size := q.move(d, l, most, 0)
			for share := (len(q.ready) + takers - 1) / takers; share > 0 && len(d.items) < most && size < batchSize; share-- {
				if l = q.next(d); l == nil {
					break
				}
				size = q.move(d, l, most, size)
			}
			q.waiting -= len(d.items)
			q.working += len(d.items)
			q.out++
			return d
		}
		q.changed.Wait()
	}
}

// Quick handlers are kept up with by one worker at a time, whose next delivery collects
// what arrives meanwhile: sent out one by one, each message would cost several times what
// handling it does. Another worker joins in when so many wait, or one for so long.
const (
	quickHandler = 500 * time.Microsecond
	joinDelay    = time.Millisecond
)

// first is the lane to begin a delivery with; nil: there is none, or it is not time yet.
func (q *queue) first() *lane {
	if q.out > 0 && q.pace < quickHandler && q.waiting < batchMost && !q.late {
		if len(q.ready) > 0 && !q.armed {
			q.armed = true
			time.AfterFunc(joinDelay, q.overdue)
		}
		return nil
	}
	q.late = false
	return q.next(nil)
}

func (q *queue) overdue() {
	q.mu.Lock()
	q.armed, q.late = false, len(q.ready) > 0
	q.mu.Unlock()
	q.changed.Broadcast()
}

// move takes the first messages of a lane into the delivery.
func (q *queue) move(d *delivery, l *lane, most, size int) int {
	n := 0
	for n < len(l.items) && len(d.items)+n < most && (len(d.items)+n == 0 || size+len(l.items[n].message.Payload) <= batchSize) {
		size += len(l.items[n].message.Payload)
		if n++; l.items[n-1].attempts > 0 {
			break
		}
	}
	q.bytes -= payloads(l.items[:n])
	d.items = append(d.items, l.items[:n]...)
	d.lanes = append(d.lanes, l)
	l.items = l.items[n:]
	l.busy = true
	return size
}

// payloads is the bytes of the items' messages.
func payloads(items []*item) (bytes int) {
	for _, i := range items {
		bytes += len(i.message.Payload)
	}
	return bytes
}

// next is the first lane whose time has come, and which goes with the delivery if there is
// one. The pause of another ends with a wake-up. What may have ended a worker goes alone.
func (q *queue) next(with *delivery) *lane {
	now := time.Now()
	for i, l := range q.ready {
		if l.after.After(now) {
			continue
		}
		if with != nil && (l.key.origin != with.origin || l.key.owner != with.owner || l.items[0].attempts > 0 || with.items[0].attempts > 0) {
			continue
		}
		q.ready = append(q.ready[:i], q.ready[i+1:]...)
		return l
	}
	return nil
}

// release gives the lanes back: what is left of the delivery goes before everything else of
// its topic, after a pause. took is how long the handled messages took.
func (q *queue) release(d *delivery, left []*item, took, pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	handled := len(d.items) - len(left)
	q.out--
	q.working -= len(d.items)
	q.waiting += len(left)
	if handled > 0 {
		pace := took / time.Duration(handled)
		q.pace += (pace - q.pace) / 4
	}
	q.bytes += payloads(left)
	for len(left) > 0 {
		key := laneKey{left[0].origin, left[0].message.Topic, left[0].owner}
		n := 1
		for n < len(left) && left[n].message.Topic == key.topic {
			n++
		}
		l := q.lanes[key]
		l.items = append(append(make([]*item, 0, n+len(l.items)), left[:n]...), l.items...)
		if pause > 0 {
			l.after = time.Now().Add(pause)
		}
		left = left[n:]
	}
	if pause > 0 {
		time.AfterFunc(pause, q.wake)
	}
	for _, l := range d.lanes {
		l.busy = false
		if len(l.items) == 0 {
			delete(q.lanes, l.key)
		} else {
			q.ready = append(q.ready, l)
		}
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
			q.bytes -= payloads(l.items)
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
func (q *queue) idle(timeout time.Duration) bool {
	until := time.Now().Add(timeout)
	late := time.AfterFunc(timeout, q.wake)
	defer late.Stop()
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
