package httprouter

import (
	"slices"

	"envoxyd/internal/monotime"
	"envoxyd/internal/stream"
	"envoxyd/router/relay"
)

// handOver has a goroutine go on with a client: do says whether the connection can serve another request. A connection
// to a node goes along.
func (l *loop) handOver(c *client, do func(*session) (keep bool)) {
	s := &c.session
	if c.peer != nil {
		l.release(c.peer)
		conn, err := stream.New(c.peer.fd)
		c.peer = nil
		if err != nil {
			l.r.up.Logf("[uwsgi-http] %v", err)
			l.drop(c)
			return
		}
		c.up.Conn = conn
	}
	l.release(&c.own)
	conn, err := stream.New(c.own.fd)
	if err != nil {
		l.r.up.Logf("[uwsgi-http] %v", err)
		c.own.fd = -1
		l.drop(c)
		return
	}
	c.up, c.q, c.over = nil, nil, true
	s.client = conn
	go func() { // Host.Ended tells who waits for it
		back := false
		defer func() {
			if !back {
				l.r.host.Ended()
			}
		}()
		defer l.r.survive()
		back = s.goOnAlone(do) && l.takeBack(c)
	}()
}

// goOnAlone serves the request in hand, and those that have come behind it. True: the next one is to be waited for. False:
// the connection has ended.
func (s *session) goOnAlone(do func(*session) (keep bool)) (waiting bool) {
	defer func() {
		if !waiting {
			s.end()
		}
	}()
	keep := do(s)
	for ; keep; keep = s.serveBegun() {
		s.served++
		if len(s.unread) == 0 {
			return true
		}
		s.receive()
	}
	return false
}

// takeBack waits for the next request of a client that a goroutine has served. False: its connection has ended.
func (l *loop) takeBack(c *client) bool {
	c.release()
	fd, err := c.client.Detach()
	if err != nil {
		l.r.up.Logf("[uwsgi-http] %v", err)
		c.session.end()
		return false
	}
	c.client = nil
	c.own = end{fd: fd, number: -1, client: c, readable: true}
	c.over = false
	l.take(c)
	return true
}

// survive keeps the fault of one connection from ending all others.
func (r *Router) survive() {
	if fault := recover(); fault != nil {
		r.host.Fault(fault)
	}
}

// settle has a goroutine draw the conclusions from what has become of the request at a node.
func (l *loop) settle(c *client, outcome outcome, err error) {
	up, q := c.up, c.q
	l.close(c.peer)
	c.peer = nil
	if outcome == left {
		l.drop(c)
		return
	}
	l.handOver(c, func(s *session) bool {
		up.Close()
		return s.conclude(up, q, outcome, err)
	})
}

// drop ends a client, and what it has asked for.
func (l *loop) drop(c *client) {
	c.over = true
	if c.peer != nil {
		l.close(c.peer)
	}
	if c.up != nil {
		c.up.Close()
	}
	c.peer, c.up, c.q = nil, nil, nil
	if c.own.fd >= 0 {
		closeFD(c.own.fd)
	}
	l.forget(&c.own)
	c.release()
	l.r.host.Ended()
}

// takeIdle returns a connection to the node that waits for its next use, the one that was used last; nil: there is none.
// One on which something has come meanwhile is of no use: the node has closed it, or it is no answer to what follows.
func (l *loop) takeIdle(address string) *end {
	for {
		list := l.idle[address]
		if len(list) == 0 {
			return nil
		}
		last := list[len(list)-1]
		l.idle[address] = list[:len(list)-1]
		if stream.Silent(last.fd) {
			return last
		}
		l.close(last)
	}
}

// putIdle keeps a connection for its next use.
func (l *loop) putIdle(e *end) {
	e.client, e.since = nil, monotime.Now()
	if len(l.idle[e.address]) >= relay.KeptMost {
		l.close(e)
		return
	}
	l.idle[e.address] = append(l.idle[e.address], e)
	l.arm(e.since + int64(relay.KeptTime))
}

// dropIdle closes a connection that waits for its next use.
func (l *loop) dropIdle(e *end) {
	list := l.idle[e.address]
	if at := slices.Index(list, e); at >= 0 {
		list = slices.Delete(list, at, at+1)
	}
	if len(list) == 0 {
		delete(l.idle, e.address)
	} else {
		l.idle[e.address] = list
	}
	l.close(e)
}
