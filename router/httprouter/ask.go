package httprouter

import (
	"errors"

	"golang.org/x/sys/unix"

	"envoxyd/internal/stream"
	"envoxyd/router/relay"
)

// inlineReads is how often an answer is read from before a goroutine goes on with it: others wait meanwhile.
const inlineReads = 8

// exchange has a node asked, if the request is all there and needs no more than that.
func (l *loop) exchange(c *client) {
	q, refusal := c.describe()
	if refusal != nil || q.framing != noBody && (q.framing != sized || q.length > int64(len(c.unread)) || c.buffers(q)) {
		l.handOver(c, (*session).exchange)
		return
	}
	q.attempt = c.r.up.Attempt(string(c.head.Host()), c.RemoteAddr)
	up := q.attempt.Choose(!q.safe)
	if up == nil {
		l.handOver(c, func(s *session) bool { return s.pursue(q) })
		return
	}
	c.q, c.up = q, up
	if q.safe {
		if c.peer = l.takeIdle(up.Address); c.peer != nil {
			c.peer.client, up.Reused = c, true
			l.ask(c)
			return
		}
	}
	l.connect(c)
}

// connect connects to the node. What does not work at once a goroutine tries with all patience.
func (l *loop) connect(c *client) {
	fd, connected, err := stream.Start(c.up.Address)
	if err != nil {
		up, q := c.up, c.q
		l.handOver(c, func(s *session) bool {
			if !q.attempt.Connect(up) {
				return s.pursue(q)
			}
			outcome, err := s.try(up, q)
			return s.conclude(up, q, outcome, err)
		})
		return
	}
	c.peer = &end{fd: fd, number: -1, client: c, node: true, address: c.up.Address}
	if connected {
		l.ask(c)
		return
	}
	c.state = connecting
	l.limit(c, relay.Millis(l.r.up.Spec.ConnectMillis))
	if err := l.watch(c.peer, watchFor|unix.EPOLLOUT); err != nil {
		l.unreached(c, err)
	}
}

// connected goes on when the connection is made, or has failed.
func (l *loop) connected(c *client) {
	if err := stream.Connected(c.peer.fd); err != nil {
		l.unreached(c, err)
		return
	}
	l.ask(c)
}

// unreached has another node tried.
func (l *loop) unreached(c *client, err error) {
	up, q := c.up, c.q
	l.close(c.peer)
	c.peer = nil
	l.handOver(c, func(s *session) bool {
		q.attempt.NotConnected(up, err)
		return s.pursue(q)
	})
}

// ask sends the request.
func (l *loop) ask(c *client) {
	up, q := c.up, c.q
	if err := c.compose(up, q); err != nil {
		l.settle(c, failed, err)
		return
	}
	n, err := sendFD(c.peer.fd, c.packet, 0)
	up.Received += uint64(n)
	switch {
	case err != nil && !errors.Is(err, unix.EAGAIN):
		l.settle(c, unsent(up, q, err), err)
		return
	case n < len(c.packet):
		l.handOver(c, func(s *session) bool {
			outcome, err := s.converse(up, q, n)
			return s.conclude(up, q, outcome, err)
		})
		return
	}
	c.state, c.answer = asking, c.answer[:0]
	l.limit(c, l.r.up.Timeout())
	if c.peer.number < 0 {
		if err := l.watch(c.peer, watchFor); err != nil {
			l.settle(c, failed, err)
		}
	}
}

// answer reads what the node has sent, and passes it on.
func (l *loop) answer(c *client) {
	up, q := c.up, c.q
	for c.state == asking {
		room, err := c.answerRoom()
		if err != nil {
			l.settle(c, failed, err)
			return
		}
		n, err := readFD(c.peer.fd, room)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		c.peer.readable = n == len(room) || c.peer.ended
		up.Sent += uint64(n)
		if outcome, err := c.gotAnswer(up, q, n, err); err != nil {
			l.settle(c, outcome, err)
			return
		}
		if n, err = c.response.Parse(c.answer); err != nil {
			l.settle(c, failed, err)
			return
		}
		switch {
		case n > 0 && c.response.Status < 200: // hints and tunnels
			l.handOver(c, func(s *session) bool {
				outcome, keep, err := s.relayAnswer(up, q, &sender{})
				leave(up, q, outcome, keep, err)
				return s.conclude(up, q, outcome, err)
			})
			return
		case n > 0:
			c.noteAnswer(up, q)
			out, over, err := c.beginAnswer(up, q, n)
			if err != nil {
				l.settle(c, failed, err)
				return
			}
			c.state = relaying
			if !l.reply(c, out, over) {
				return
			}
		case !c.peer.readable:
			return
		}
	}
	l.relay(c)
}

// relay passes on the body of an answer as it comes.
func (l *loop) relay(c *client) {
	up, q := c.up, c.q
	b, free := relay.Buffer()
	defer free()
	for range inlineReads {
		n, err := readFD(c.peer.fd, b)
		if errors.Is(err, unix.EAGAIN) {
			l.limit(c, l.r.up.Timeout())
			return
		}
		if n == 0 || err != nil {
			l.endOfNode(c, err)
			return
		}
		c.peer.readable = n == len(b) || c.peer.ended
		up.Sent += uint64(n)
		out, over, err := c.bodyFor(q, b[:n])
		if err != nil {
			l.settle(c, answered, err)
			return
		}
		if !l.reply(c, out, over) {
			return
		}
	}
	l.handOver(c, func(s *session) bool { return s.goOn(up, q, nil, false) })
}

// endOfNode ends an answer where the node has ended the connection.
func (l *loop) endOfNode(c *client, err error) {
	up, q := c.up, c.q
	if d := &q.answer; err == nil && !d.encode && d.left <= 0 && d.chunks == nil {
		l.finish(c, false)
		return
	}
	l.handOver(c, func(s *session) bool {
		up.Close()
		return s.conclude(up, q, answered, s.endAnswer(q, err))
	})
}

// reply sends the client a part of the answer; over: the last. True: more is to be read from the node.
func (l *loop) reply(c *client, out []byte, over bool) bool {
	up, q := c.up, c.q
	more := 0
	if over && !q.keep && len(c.unread) == 0 { // the end of the connection goes with it
		more = unix.MSG_MORE
	}
	n, err := sendFD(c.own.fd, out, more)
	switch {
	case err != nil && !errors.Is(err, unix.EAGAIN):
		l.settle(c, left, err)
		return false
	case n < len(out):
		rest := append([]byte(nil), out[n:]...) // out may be a buffer of the loop's
		l.handOver(c, func(s *session) bool { return s.goOn(up, q, rest, over) })
		return false
	case over:
		l.finish(c, !c.peer.readable && c.nodeKeeps(up, q))
		return false
	}
	return true
}

// goOn passes on the rest of an answer that was begun in a loop.
func (s *session) goOn(up *relay.Upstream, q *request, rest []byte, over bool) (keep bool) {
	if err := s.send(rest); err != nil {
		up.Close()
		return false
	}
	outcome, keep, err := s.passBody(up, q, over, &sender{})
	leave(up, q, outcome, keep, err)
	return s.conclude(up, q, outcome, err)
}

// finish ends a request that is answered.
func (l *loop) finish(c *client, nodeKept bool) {
	up, q := c.up, c.q
	if nodeKept {
		l.putIdle(c.peer)
	} else {
		l.close(c.peer)
	}
	up.Finish()
	c.peer, c.up, c.q = nil, nil, nil
	switch {
	case q.keep:
		c.served++
		if len(c.unread) == 0 {
			l.await(c)
			return
		}
		c.in = append(c.in[:0], c.unread...) // the ranges may overlap
		l.parse(c)
	case len(c.unread) > 0:
		l.handOver(c, func(s *session) bool { s.client.Linger(); return false })
	default:
		l.drop(c)
	}
}
