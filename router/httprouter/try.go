package httprouter

import (
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// outcome is what has become of a request at a node.
type outcome int

const (
	answered outcome = iota // the client has got something
	again                   // the node has not answered, and another one may
	failed                  // the node has not answered
	left                    // the client has gone
)

// sender sends a request's body to the node beside the answer's way back.
type sender struct {
	running  sync.WaitGroup
	activity relay.Activity
	gone     bool // the client has gone; read after running
	started  bool
}

// try has one node answer. The connection to it is closed, or kept, when it returns.
func (s *session) try(up *relay.Upstream, q *request) (outcome, error) {
	if err := s.compose(up, q); err != nil {
		up.Close()
		return failed, err
	}
	return s.converse(up, q, 0)
}

// compose makes what is sent to the node first: the head, and what has come of the body.
func (s *session) compose(up *relay.Upstream, q *request) error {
	if err := s.writeHead(up, q); err != nil {
		return err
	}
	if q.framing == sized && q.left > 0 { // what has come of the body, in one write with the head
		n := min(q.left, int64(len(s.unread)))
		s.packet = append(s.packet, s.unread[:n]...)
		s.unread, q.left = s.unread[n:], q.left-n
		q.whole = q.left == 0
	}
	return nil
}

// converse sends what is composed, of which the node has the first n bytes, and the rest of the body, and has the answer
// passed on.
func (s *session) converse(up *relay.Upstream, q *request, n int) (outcome, error) {
	if n < len(s.packet) {
		up.WriteTimeout(s.r.up.Timeout())
		more, err := up.Write(s.packet[n:])
		up.Received += uint64(more)
		if err != nil && (n+more == 0 || !isReset(err)) { // else it may have answered before it had read everything
			up.Close()
			return unsent(up, q, err), err
		}
	}
	var sending sender
	if q.framing == kept || q.framing == endless || !q.whole && q.framing != websocket {
		if err := s.sayContinue(); err != nil {
			up.Close()
			return left, err
		}
		sending.started = true
		sending.activity.Note()
		sending.running.Go(func() { s.sendBody(up, q, &sending) })
	}
	s.answer = s.answer[:0]
	outcome, keep, err := s.relayAnswer(up, q, &sending)
	if sending.started && !(keep && outcome == answered) {
		up.Wake()
		s.client.Wake()
		_ = up.Conn.Close()
	}
	sending.running.Wait()
	if q.whole {
		s.client.Rest()
	}
	if sending.gone && outcome != answered {
		outcome = left
	}
	leave(up, q, outcome, keep, err)
	return outcome, err
}

// leave keeps the connection to the node, or closes it.
func leave(up *relay.Upstream, q *request, outcome outcome, keep bool, err error) {
	if keep && outcome == answered && err == nil && q.whole {
		up.Keep()
	} else {
		up.Close()
	}
}

// unsent is the outcome when a node has taken nothing of a request.
func unsent(up *relay.Upstream, q *request, err error) outcome {
	if isReset(err) && (q.safe || up.Reused) {
		return again
	}
	return failed
}

// isReset: the other side has closed the connection with something unread, or before it was used.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// protocol is what the router speaks to nodes that say nothing else.
func (s *session) protocol() string {
	if s.r.spec.BackendHTTP {
		return "http"
	}
	return "uwsgi"
}

// writeHead makes what goes to the node before the body.
func (s *session) writeHead(up *relay.Upstream, q *request) (err error) {
	if up.Speaks("http", s.protocol()) {
		var more strings.Builder
		before, _ := s.head.Field("x-forwarded-for")
		if text := forwardedFor(before, s.RemoteAddr); text != "" {
			more.WriteString("X-Forwarded-For: " + text + "\r\n")
		}
		without := []string{"x-forwarded-for"}
		if s.https {
			more.WriteString("X-Forwarded-Proto: https\r\n")
			without = append(without, "x-forwarded-proto")
		}
		s.packet = s.head.AppendRequest(s.packet[:0], more.String(), q.framing == websocket, without...)
		return nil
	}
	s.packet = s.packet[:0]
	if q.safe { // what a node has done for another request must not be in doubt
		s.packet = up.AppendGreeting(s.packet)
	}
	start := len(s.packet)
	s.packet = append(s.packet, make([]byte, uwsgi.HeaderSize)...)
	if s.packet, err = s.head.AppendVars(s.packet, &s.Conn); err != nil {
		return err
	}
	size := len(s.packet) - start - uwsgi.HeaderSize
	if size > uwsgi.MaxBlock {
		return http.Refusal(431, "the variables are longer than a uwsgi packet can be")
	}
	h := uwsgi.Header{Modifier1: s.r.spec.Modifier1, Modifier2: s.r.spec.Modifier2, Size: size}
	if up.Modifier1 > 0 || up.Modifier2 > 0 {
		h.Modifier1, h.Modifier2 = up.Modifier1, up.Modifier2
	}
	uwsgi.AppendHeader(s.packet[:start], h)
	return nil
}

// sendBody sends what the first write has not. When the client goes, the node's work is given up.
func (s *session) sendBody(up *relay.Upstream, q *request, sending *sender) {
	to := &bodyWriter{up: up, sending: sending, timeout: s.r.up.Timeout()}
	var err error
	switch q.framing {
	case kept:
		_, err = io.Copy(to, q.body.Reader())
	case endless:
		if _, err = to.Write(s.unread); err == nil {
			s.unread = nil
			_, err = relay.Copy(up.Conn, s.client, to.timeout, &sending.activity)
		}
		if err == nil {
			up.CloseWrite()
		}
	default:
		err = s.readBody(q, to)
		q.whole = err == nil
	}
	if err != nil && !to.failed && !errors.Is(err, stream.ErrWoken) {
		sending.gone = isClientError(err)
		up.Wake() // whoever reads the answer
	}
}

// bodyWriter writes to a node.
type bodyWriter struct {
	up      *relay.Upstream
	sending *sender
	timeout time.Duration
	failed  bool
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	w.up.WriteTimeout(w.timeout)
	n, err := w.up.Write(p)
	w.up.Received += uint64(n)
	w.failed = err != nil
	w.sending.activity.Note()
	return n, err
}
