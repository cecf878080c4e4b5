package logging

import (
	"fmt"
	"sync"
	"time"
)

// A logger that does not keep up: this much waits for it in memory, then whoever
// brings more waits this long, and then records are counted and dropped.
const (
	queueSize = 4 << 20
	roomTime  = time.Second
	tellTime  = time.Second // between two lines about the same logger's losses
)

// batch is some records, one behind the other.
type batch struct {
	data []byte
	ends []int
}

func (b *batch) add(record []byte) {
	b.data = append(b.data, record...)
	b.ends = append(b.ends, len(b.data))
}

// each calls write for one record after the other; lost is how many it has failed for.
func (b *batch) each(write func(record []byte) error) (lost int, err error) {
	start := 0
	for _, end := range b.ends {
		if failed := write(b.data[start:end]); failed != nil {
			lost, err = lost+1, failed
		}
		start = end
	}
	return lost, err
}

// writer is a place that records go to. One goroutine uses it.
type writer interface {
	// write returns how many of the records have not arrived, and why.
	write(b *batch) (lost int, err error)
	close() error
}

// portion is some records, and what is to be done when they have been written.
type portion struct {
	batch
	then func() // nil: nothing, and more records may be added
}

// queue hands records to a writer on a goroutine of its own, so that a slow one holds
// up nobody else for long.
type queue struct {
	name string // in messages
	to   writer
	say  func(format string, args ...any) // where losses are told
	last bool                             // say leads here: losses are told when it no longer fails
	own  func(line []byte) []byte         // puts such a line into form

	failed int   // records, since that was last told
	cause  error // why they have; nil: all has been told
	told   time.Time

	mu      sync.Mutex
	waiting []portion
	size    int  // of what waits, bytes
	lost    int  // records since that was last told
	stuck   bool // it has been waited for in vain
	closing bool

	wake chan struct{} // something waits
	room chan struct{} // nothing waits any more
	done chan struct{} // closed when the writer is
}

func newQueue(name string, to writer, say func(format string, args ...any), last bool) *queue {
	q := &queue{last: last, name: name, to: to, say: say, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run() // ends with close
	return q
}

// put takes a record, which the caller may use again. Patient callers wait for room.
func (q *queue) put(record []byte, patient bool) {
	q.mu.Lock()
	for patient && !q.stuck && !q.closing && q.full(record) {
		q.mu.Unlock()
		timeout := time.NewTimer(roomTime)
		select {
		case <-q.room:
			timeout.Stop()
			q.mu.Lock()
		case <-timeout.C:
			q.mu.Lock()
			q.stuck = true
		}
	}
	if q.closing || q.full(record) {
		q.lost++
	} else {
		if n := len(q.waiting); n == 0 || q.waiting[n-1].then != nil {
			q.waiting = append(q.waiting, portion{})
		}
		q.waiting[len(q.waiting)-1].add(record)
		q.size += len(record)
	}
	q.mu.Unlock()
	notify(q.wake)
}

// full: one more would be too much. One that waits alone may be of any size.
func (q *queue) full(record []byte) bool { return q.size > 0 && q.size+len(record) > queueSize }

// order has do called by the writer's goroutine, after what waits now and before what comes.
func (q *queue) order(do func()) {
	q.mu.Lock()
	if n := len(q.waiting); n == 0 || q.waiting[n-1].then != nil {
		q.waiting = append(q.waiting, portion{})
	}
	q.waiting[len(q.waiting)-1].then = do
	q.mu.Unlock()
	notify(q.wake)
}

func (q *queue) run() {
	defer close(q.done)
	var taken []portion
	for {
		q.mu.Lock()
		taken, q.waiting = q.waiting, taken[:0]
		closing, lost := q.closing, q.lost
		q.size, q.lost, q.stuck = 0, 0, false
		q.mu.Unlock()
		notify(q.room)
		if lost > 0 {
			q.say("*** %d log line(s) lost: %s did not take them in time ***", lost, q.name)
		}
		for i := range taken {
			if len(taken[i].ends) > 0 {
				q.write(&taken[i].batch)
			}
			if taken[i].then != nil {
				taken[i].then()
			}
			taken[i] = portion{}
		}
		switch {
		case len(taken) > 0:
		case closing:
			if q.cause != nil {
				q.tellFailed()
			}
			if err := q.to.close(); err != nil {
				q.say("%s: %v", q.name, err)
			}
			return
		default:
			<-q.wake
		}
	}
}

func (q *queue) write(b *batch) {
	lost, err := q.to.write(b)
	switch {
	case err != nil:
		if q.cause == nil && !q.last {
			q.say("%s: %v", q.name, err)
		}
		q.cause = err
		q.failed += lost
	case q.cause != nil && time.Since(q.told) >= tellTime:
		q.tellFailed()
	}
}

// tellFailed says how many records have not been written.
func (q *queue) tellFailed() {
	const text = "*** %d log line(s) lost: %s: %v ***"
	if q.last { // at once: if this fails too, the number is still to be told
		var b batch
		line := fmt.Appendf(nil, text+"\n", q.failed, q.name, q.cause)
		if q.own != nil {
			line = q.own(line)
		}
		b.add(line)
		if _, err := q.to.write(&b); err != nil {
			return
		}
	} else {
		q.say(text, q.failed, q.name, q.cause)
	}
	q.failed, q.cause, q.told = 0, nil, time.Now()
}

// close has the writer closed once it has written everything that waits.
func (q *queue) close() {
	q.mu.Lock()
	q.closing = true
	q.mu.Unlock()
	notify(q.wake)
}

// finish is close and waits for it, until the deadline; lost is what has not been written then.
func (q *queue) finish(deadline time.Time) (lost int) {
	q.close()
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-q.done:
		return 0
	case <-timeout.C:
		q.mu.Lock()
		defer q.mu.Unlock()
		for i := range q.waiting {
			lost += len(q.waiting[i].ends)
		}
		return lost + q.lost + 1 // it hangs in at least one
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been told already
	}
}
