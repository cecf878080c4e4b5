package httprouter

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/router/relay"
)

// state is what a client in a loop waits for.
type state int

const (
	waiting    state = iota // the start of a request
	connecting              // the connection to a node
	asking                  // the head of the answer
	relaying                // the rest of the answer
)

// client is a connection of a client in a loop. The loop's lock is held by all that touches it.
type client struct {
	session      // its client is nil
	own      end // the client's descriptor
	state    state
	deadline int64 // of the wait, monotonic nanoseconds; 0: none
	over     bool  // it has left the loop

	// The request in hand.
	q    *request
	up   *relay.Upstream
	peer *end // the connection to the node; nil: there is none yet
}

// take begins to serve a client.
func (l *loop) take(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.survive(c)
	if l.closed {
		l.drop(c)
		return
	}
	l.await(c)
}

// drain has clients that wait for a request end after the last wait.
func (l *loop) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.ends {
		if e != nil && !e.node && e.client.state == waiting {
			l.limit(e.client, l.r.lastWait())
		}
	}
}

// limit bounds the wait that begins; 0: it has no bound.
func (l *loop) limit(c *client, t time.Duration) {
	c.deadline = 0
	if t > 0 {
		c.deadline = monotime.Now() + int64(t)
		l.arm(c.deadline)
	}
}

// await waits for the next request.
func (l *loop) await(c *client) {
	c.state = waiting
	if c.own.readable {
		l.receive(c)
		return
	}
	c.release()
	switch {
	case l.r.draining.Load(): // the next request may be on its way; its answer says that the connection ends
		l.limit(c, l.r.lastWait())
	case c.served > 0:
		l.limit(c, l.r.idle)
	default:
		l.limit(c, l.r.up.Timeout())
	}
	if c.own.number < 0 {
		if err := l.watch(&c.own, watchFor); err != nil {
			l.r.up.Logf("[uwsgi-http] %v", err)
			l.drop(c)
		}
	}
}

// receive reads the start of a request.
func (l *loop) receive(c *client) {
	if c.scratch == nil {
		c.scratch = scratches.Get().(*scratch)
	}
	room := c.in[:cap(c.in)]
	n, err := readFD(c.own.fd, room)
	switch {
	case errors.Is(err, unix.EAGAIN):
		c.own.readable, c.in = false, c.in[:0]
		l.await(c)
		return
	case n == 0 || err != nil:
		l.drop(c)
		return
	}
	if n < len(room) && !c.own.ended {
		c.own.readable = false
	}
	c.in = room[:n]
	l.parse(c)
}

// parse begins with what has come of a request.
func (l *loop) parse(c *client) {
	n, err := c.parseHead()
	switch {
	case err != nil:
		l.handOver(c, func(s *session) bool { s.refuse(refusalOf(err)); return false })
		return
	case n == 0:
		l.handOver(c, (*session).serveBegun)
		return
	}
	c.unread = c.in[n:]
	l.exchange(c)
}

// lapse ends a wait that has been too long.
func (l *loop) lapse(c *client) {
	switch c.state {
	case waiting:
		l.drop(c)
	case connecting:
		l.unreached(c, os.ErrDeadlineExceeded)
	case asking:
		l.settle(c, failed, os.ErrDeadlineExceeded)
	case relaying:
		l.endOfNode(c, os.ErrDeadlineExceeded)
	}
}
