package httprouter

import (
	"errors"
	"io"
	"os"
	"strconv"

	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// errNothing: the node has closed the connection in good order. It may have worked on the request.
var errNothing = http.ErrNoResponse

// errPlain: the node serves one request on a connection, against what was known of it.
var errPlain = errors.New("the node does not keep connections")

// relayAnswer passes a node's answer on to the client. keep: the connection to the node can serve again. With an
// error the outcome answered means that the client has got a part.
func (s *session) relayAnswer(up *relay.Upstream, q *request, sending *sender) (outcome, bool, error) {
	for {
		n, err := s.response.Parse(s.answer)
		if err != nil {
			return failed, false, err
		}
		if n == 0 {
			if outcome, err := s.readAnswer(up, q, sending); err != nil {
				return outcome, false, err
			}
			continue
		}
		s.noteAnswer(up, q)
		if s.response.Status >= 200 || s.response.Status == 101 && q.framing == websocket {
			return s.passOn(up, q, n, sending)
		}
		if s.head.Minor == 1 && s.response.Status != 101 { // an early hint, say
			if err := s.send(s.answer[:n]); err != nil {
				return left, false, err
			}
		}
		s.answer = s.answer[:copy(s.answer, s.answer[n:])]
	}
}

// noteAnswer: the node has answered.
func (s *session) noteAnswer(up *relay.Upstream, q *request) {
	up.Answered()
	if q.safe && !up.Speaks("http", s.protocol()) {
		up.AskKeeping()
	}
}

// readAnswer reads more of the head of an answer.
func (s *session) readAnswer(up *relay.Upstream, q *request, sending *sender) (outcome, error) {
	room, err := s.answerRoom()
	if err != nil {
		return failed, err
	}
	n, err := s.read(up, room, sending)
	return s.gotAnswer(up, q, n, err)
}

// answerRoom is where more of the head of an answer goes.
func (s *session) answerRoom() ([]byte, error) {
	if len(s.answer) >= http.MaxResponseHead {
		return nil, http.ErrResponseHead
	}
	if len(s.answer) == cap(s.answer) {
		s.answer = append(make([]byte, 0, 2*cap(s.answer)), s.answer...)
	}
	return s.answer[len(s.answer):cap(s.answer)], nil
}

// gotAnswer takes n bytes that were read to there, or the error: without one there is more to look at.
func (s *session) gotAnswer(up *relay.Upstream, q *request, n int, err error) (outcome, error) {
	s.answer = s.answer[:len(s.answer)+n]
	if rest, ok := up.TakeGreeting(s.answer); !ok {
		return again, errPlain
	} else if len(rest) < len(s.answer) {
		s.answer = s.answer[:copy(s.answer, rest)]
	}
	switch {
	case n > 0:
		return answered, nil
	case len(s.answer) > 0 && isEnd(err):
		return failed, io.ErrUnexpectedEOF
	case isEnd(err) && (up.Reused || up.Greeted()) && q.safe, isReset(err) && len(s.answer) == 0 && q.safe:
		return again, errors.Join(err, errNothing)
	case isEnd(err):
		return failed, errNothing
	}
	return failed, err
}

func isEnd(err error) bool { return err == nil || errors.Is(err, io.EOF) }

// read reads from the node. Nothing is late while a client is still sending.
func (s *session) read(up *relay.Upstream, p []byte, sending *sender) (int, error) {
	timeout := s.r.up.Timeout()
	for {
		n, err := up.ReadFor(p, timeout)
		up.Sent += uint64(n)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !sending.started || !sending.activity.Within(timeout) {
			return n, err
		}
	}
}

// send writes to the client.
func (s *session) send(p []byte) error {
	s.client.WriteTimeout(s.r.up.Timeout())
	_, err := s.client.Write(p)
	return err
}

// delivery is how the body of an answer goes to the client.
type delivery struct {
	left   int64        // bytes to come; -1: until the end, or that of the chunks
	chunks *http.Chunks // the node sends chunks
	decode bool         // which the client does not know
	encode bool         // the client gets chunks that the node does not send
	inHTTP bool         // the node speaks HTTP
	known  bool         // the client finds the end of the answer
	excess bool         // the node has sent more than the answer
	plain  []byte
	unused []byte // the start of a chunk's line
}

// passOn passes the answer on whose head of n bytes is parsed.
func (s *session) passOn(up *relay.Upstream, q *request, n int, sending *sender) (outcome, bool, error) {
	out, over, err := s.beginAnswer(up, q, n)
	if err != nil {
		return failed, false, err
	}
	if err := s.send(out); err != nil {
		return left, false, err
	}
	if s.response.Status == 101 {
		return s.tunnel(up)
	}
	return s.passBody(up, q, over, sending)
}

// beginAnswer is what the client gets first: the head, which has n bytes of what was read, and the body behind it. over:
// that is all.
func (s *session) beginAnswer(up *relay.Upstream, q *request, n int) (out []byte, over bool, err error) {
	r, d := &s.response, &q.answer
	*d = delivery{left: r.Length, inHTTP: up.Speaks("http", s.protocol()), known: true}
	switch {
	case r.Status == 101:
		d.left = -1
	case r.Bodiless(q.isHead):
		d.left = 0
	case r.Chunked:
		d.left, d.chunks = -1, new(http.Chunks)
		d.decode = s.head.Minor == 0
		d.known = !d.decode
	case r.Length < 0:
		d.encode = s.r.spec.AutoChunked && s.Socket.KeepAlive && s.head.Minor == 1
		d.known = d.encode
	}
	q.keep = q.keep && d.known && (!r.Close || d.inHTTP) && !s.r.draining.Load()
	out, over, err = d.add(s.editHead(q, d.inHTTP, d), s.answer[n:])
	if err == nil {
		s.out = out[:0]
	}
	return out, over, err
}

// passBody passes on what follows; over: nothing does.
func (s *session) passBody(up *relay.Upstream, q *request, over bool, sending *sender) (outcome, bool, error) {
	b, free := relay.Buffer()
	defer free()
	for !over {
		got, err := s.read(up, b, sending)
		var out []byte
		if got == 0 {
			return answered, false, s.endAnswer(q, err)
		}
		if out, over, err = s.bodyFor(q, b[:got]); err != nil {
			return answered, false, err
		}
		if err := s.send(out); err != nil {
			return left, false, err
		}
	}
	return answered, s.nodeKeeps(up, q), nil
}

// bodyFor is what the client gets for a piece of the body. over: that was the last.
func (s *session) bodyFor(q *request, piece []byte) (out []byte, over bool, err error) {
	if d := &q.answer; d.chunks != nil || d.encode || d.left >= 0 {
		return d.add(s.out, piece)
	}
	return piece, false, nil
}

// endAnswer ends an answer where the node has ended the connection, with the error of the last read.
func (s *session) endAnswer(q *request, err error) error {
	err = s.endOfNode(&q.answer, err)
	if err != nil && !q.keep && !q.answer.known { // only an error tells that client that there should be more
		s.client.Reset()
	}
	return err
}

// nodeKeeps tells whether the connection to a node that has answered can serve again.
func (s *session) nodeKeeps(up *relay.Upstream, q *request) bool {
	if q.answer.excess { // what comes next on it would be taken for another request's answer
		return false
	}
	if q.answer.inHTTP {
		return s.response.Persistent()
	}
	return up.Keeps() && !s.response.Close
}

// editHead is the head for the client.
func (s *session) editHead(q *request, inHTTP bool, d *delivery) []byte {
	r := &s.response
	more := ""
	var without []string
	if inHTTP && r.Status != 101 {
		without = append(without, "connection", "keep-alive")
	}
	if d.decode {
		without = append(without, "transfer-encoding")
	}
	if d.encode {
		more += "Transfer-Encoding: chunked\r\n"
	}
	switch said := r.Said && !inHTTP; {
	case said || r.Status == 101:
	case !q.keep && s.head.Minor == 1 && (s.Socket.KeepAlive || inHTTP):
		more += "Connection: close\r\n"
	case q.keep && s.head.Minor == 0:
		more += "Connection: keep-alive\r\n"
	}
	return r.Append(s.out[:0], more, without...)
}

// add appends to out what the client gets for some bytes of the body. over: that was the last.
func (d *delivery) add(out, body []byte) ([]byte, bool, error) {
	switch {
	case d.chunks != nil:
		if len(d.unused) > 0 {
			body = append(d.unused, body...)
		}
		plain, used, err := d.chunks.Decode(d.plain[:0], body)
		if err != nil {
			return out, false, err
		}
		d.plain = plain[:0]
		if d.unused = append([]byte(nil), body[used:]...); d.chunks.Done() {
			d.excess, d.unused = len(d.unused) > 0, nil
		}
		if d.decode {
			out = append(out, plain...)
		} else {
			out = append(out, body[:used]...)
		}
		return out, d.chunks.Done(), nil
	case d.encode:
		if len(body) > 0 {
			out = strconv.AppendInt(out, int64(len(body)), 16)
			out = append(out, "\r\n"...)
			out = append(out, body...)
			out = append(out, "\r\n"...)
		}
		return out, false, nil
	case d.left >= 0:
		n := min(d.left, int64(len(body)))
		d.left -= n
		d.excess = n < int64(len(body))
		return append(out, body[:n]...), d.left == 0, nil
	}
	return append(out, body...), false, nil
}

// endOfNode ends an answer where the node has ended the connection.
func (s *session) endOfNode(d *delivery, err error) error {
	switch {
	case !isEnd(err):
		return err
	case d.encode:
		return s.send([]byte("0\r\n\r\n"))
	case d.left > 0 || d.chunks != nil:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// tunnel passes on what both sides send after a switch to another protocol.
func (s *session) tunnel(up *relay.Upstream) (outcome, bool, error) {
	if len(s.unread) > 0 {
		if _, err := up.Write(s.unread); err != nil {
			return answered, false, nil
		}
		s.unread = nil
	}
	c, timeout := s.client, s.r.up.Timeout()
	s.release() // a connection that lives for hours
	received, sent := relay.Tunnel(c, up.Conn, timeout)
	s.scratch = scratches.Get().(*scratch)
	up.Received += uint64(received)
	up.Sent += uint64(sent)
	return answered, false, nil
}
