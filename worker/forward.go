package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/routing"
	"envoxyd/worker/upstream"
)

// mostForwarded is how many requests of a worker other servers answer at once; more are turned away. Each takes some 50 KiB.
const mostForwarded = 1024

// forwarding is another server that answers a request.
type forwarding struct {
	proxy *routing.Proxy
	begun atomic.Pointer[upstream.Exchange] // for other goroutines
}

// forward has another server answer the request. The reactor's lock is held.
func (s *slot) forward(cn *conn, p *parsed, proxy *routing.Proxy) {
	s.leave(cn, p, &forwarding{proxy: proxy}, errandLimits{
		idle:     s.w.socketTimeout(),
		idleText: timeLimit("the server " + proxy.Address + " that a route leads to is silent (socket-timeout)"),
		endText:  timeLimit("HARAKIRI: the server " + proxy.Address + " that a route leads to takes too long (harakiri)"),
		headTxt:  timeLimit("the server " + proxy.Address + " that a route leads to has not begun to answer (http-timeout)"),
	})
}

// respond implements answerer.
func (f *forwarding) respond(e *errand) error {
	e.outcome.forwarded = true
	defer e.w.forwarding.Add(-1)
	if e.w.forwarding.Add(1) > mostForwarded {
		e.w.logLimited(&e.w.limits.forwarded, "more than %d requests for other servers at once: others are turned away", mostForwarded)
		return errCrowd
	}
	request, err := f.request(e)
	if err != nil {
		return err
	}
	body, err := e.body()
	if err != nil {
		return err
	}
	x, err := upstream.Dial(f.proxy.Address, e.w.socketTimeout(), func(c *stream.Conn, room []byte) (int, error) {
		return e.read(func(until time.Time) (int, error) { return c.ReadFor(room, untilThen(until)) })
	})
	if err != nil {
		return err
	}
	defer x.Close()
	f.begun.Store(x)
	head, err := f.exchange(e, x, request, body)
	if err != nil {
		if e.client.left() {
			return errGone
		}
		return err
	}
	return e.pass(&errandHead{code: head.Code, status: head.Status, fields: head.Fields, length: head.Length, chunked: head.Chunked}, x.Early(), x.Read)
}

// untilThen is how long it is to a time, at least a moment; 0: for ever.
func untilThen(until time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return max(time.Until(until), time.Millisecond)
}

// exchange sends the request and waits for the head of the answer.
func (f *forwarding) exchange(e *errand, x *upstream.Exchange, request []byte, body io.Reader) (*upstream.Answer, error) {
	failed := x.Send(request, body, e.w.socketTimeout())
	head, err := x.Head(e.parsed.flags&reqNoBody != 0) // maybe the server has answered before it has read all
	if err != nil && failed != nil {
		return nil, failed
	}
	return head, err
}

// request is the head of the request, as the other server's protocol has it.
func (f *forwarding) request(e *errand) ([]byte, error) {
	if f.proxy.Protocol == "uwsgi" {
		return upstream.UWSGI{Modifier1: f.proxy.Modifier1, Modifier2: f.proxy.Modifier2}.Append(nil, e.parsed.Vars, e.length())
	}
	return upstream.HTTP{Host: f.proxy.Host, Target: f.proxy.Target}.Append(nil, e.parsed.Vars, e.length())
}

// body is what there is of the request's body, from its start; nil: nothing.
func (e *errand) body() (io.Reader, error) {
	switch {
	case e.kept != nil && e.kept.file != nil:
		_, err := e.kept.file.Seek(0, io.SeekStart)
		return io.LimitReader(e.kept.file, e.kept.size), err
	case e.kept != nil && len(e.kept.memory) > 0:
		return bytes.NewReader(e.kept.memory), nil
	case len(e.memory) > 0:
		return bytes.NewReader(e.memory), nil
	}
	return nil, nil
}

// wake implements answerer.
func (f *forwarding) wake() {
	if x := f.begun.Load(); x != nil {
		x.Wake()
	}
}

// refusal implements answerer.
func (f *forwarding) refusal(e *errand, err error) (status int, more, reason string) {
	reason = fmt.Sprintf("error routing request to %s server %s: %v: %s", f.proxy.Protocol, f.proxy.Address, err, e.uri())
	switch {
	case errors.Is(err, upstream.ErrBlock):
		return 500, "", reason
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 504, "", reason
	}
	return 502, "", reason
}

// end implements answerer: there is nothing to wait for.
func (f *forwarding) end(*errand) {}
