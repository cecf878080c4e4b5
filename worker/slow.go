package worker

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/transports"
	"envoxyd/transports/http"
)

// receivers keep what goroutines parse with; a parser is some 20 KiB.
var receivers = sync.Pool{New: func() any { return new(parser) }}

// receiveSlowly gives the connection to a goroutine that reads the rest.
func (c *core) receiveSlowly(cn *conn, data []byte, p *parsed) {
	c.release(cn)
	start, id := append([]byte(nil), data...), p.ID
	c.w.receiving.Add(1)
	go func() { // ends by the connection's timeout; drained waits for it
		defer c.w.receiving.Add(-1)
		r := c.w.receiveRest(cn, start, id)
		if r == nil {
			cn.close()
			return
		}
		if r.conn != nil {
			c.w.ready.put(r)
		}
	}()
}

// receiveRest reads until the request is whole. nil: the connection is to be
// closed; a request without connection: it was answered and closed.
func (w *Worker) receiveRest(cn *conn, data []byte, id uint16) *request {
	l := cn.listener
	stream, err := duplicate(cn.fd)
	if err != nil {
		w.logLimited(&w.limits.receive, "unable to receive a request: %v", err)
		if l.event || l.transport.End != nil && id == 0 {
			return nil
		}
		refuseAndClose(cn, id, http.Refusal(503, err.Error()))
		return &request{}
	}
	defer stream.Close()
	in := &input{stream: stream, timeout: l.timeout, until: time.Now().Add(l.head)}
	head, data, err := w.receiveHead(in, cn, data)
	if err != nil {
		if l.transport.Refuses && errors.Is(err, os.ErrDeadlineExceeded) {
			_, _ = syscall.Write(cn.fd, []byte(http.Refusal(408, "").StatusText()))
		}
		return nil
	}
	if head.Err != nil {
		return w.turnAway(cn, head.ID, head.Err)
	}
	if head.Answer != nil {
		w.answered(cn, &head)
		return nil
	}
	in.until = time.Time{}
	if err := w.admit(l, head.Length); err != nil {
		return w.turnAway(cn, head.ID, err)
	}
	r := &request{conn: cn, parsed: head}
	if head.Expect && len(data) == head.HeadSize {
		if limit := w.spec.HTTP.ExpectLimit; l.socket.Router && limit > 0 && head.Length > limit {
			return w.turnAway(cn, head.ID, errPost)
		}
		_, _ = syscall.Write(cn.fd, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	rest := data[head.HeadSize:]
	switch {
	case head.NoBody:
		return r
	case head.Body != nil:
		return w.receiveFramed(in, r, rest)
	}
	return w.receiveBody(in, r, rest)
}

// receiveHead reads until the head is whole. Its variables are a copy of their own.
func (w *Worker) receiveHead(in *input, cn *conn, data []byte) (parsed, []byte, error) {
	p := receivers.Get().(*parser)
	defer receivers.Put(p)
	p.prepare(w)
	for {
		head := p.preparse(cn.listener, &cn.Conn, data)
		if head.Err != nil || head.Answer != nil || head.Vars != nil {
			head.Vars = append([]byte(nil), head.Vars...)
			head.body = nil
			return head, data, nil
		}
		var err error
		if data, err = in.more(data); err != nil {
			return head, data, err
		}
	}
}

// turnAway refuses a request: nil if there is no way to say so, else an answered one.
func (w *Worker) turnAway(cn *conn, id uint16, err error) *request {
	if refusal := w.complaint(cn, err); refusal != nil {
		refuseAndClose(cn, id, refusal)
		return &request{}
	}
	if end := cn.listener.transport.End; end != nil && id != 0 {
		_, _ = syscall.Write(cn.fd, end(nil, id))
	}
	return nil
}

// spoolFailed answers a request whose body could not be kept: the application never sees it.
func (w *Worker) spoolFailed(in *input, r *request, err *errSpool) *request {
	cn, refusal := r.conn, err.refusal()
	w.logf("%v (%d bytes kept; answered with %d)", err, r.body.size, refusal.Status)
	r.body.free()
	if cn.listener.event { // the gateway gives it to another, or says that it cannot
		return nil
	}
	_, _ = syscall.Write(cn.fd, cn.listener.refusal(r.parsed.ID, refusal)) // a client that has left needs no answer
	_ = unix.Shutdown(cn.fd, unix.SHUT_WR)
	w.discard(in)
	cn.close()
	return &request{}
}

// refusal is an answer as the listener's protocol has it.
func (l *listener) refusal(id uint16, refusal *http.Error) []byte {
	text := []byte(refusal.StatusText())
	if l.always&reqStatus != 0 {
		text = []byte("Status: " + strings.TrimPrefix(string(text), "HTTP/1.1 "))
	}
	if l.transport.Frame == nil {
		return text
	}
	return l.transport.End(l.transport.Frame(nil, id, text), id)
}

// How long what a refused client still sends is read, so that the answer is not lost to a reset.
const (
	discardFor   = 30 * time.Second
	discardPause = 5 * time.Second
)

func (w *Worker) discard(in *input) {
	in.until, in.timeout = time.Now().Add(discardFor), discardPause
	scratch := make([]byte, 64<<10)
	for w.phase.Load() == serving {
		if _, err := in.Read(scratch); err != nil {
			return
		}
	}
}

// serve makes a request from the queue the current one.
func (c *core) serve(r *request) bool {
	cn := r.conn
	if r.idle {
		cn.index, cn.registered = -1, false
		c.keep(cn)
		return false
	}
	p := r.parsed
	if len(p.Vars) > len(c.vars) {
		c.complain(cn, p.ID, transports.ErrBlock)
		return false
	}
	p.Vars = c.vars[:copy(c.vars, p.Vars)]
	var again parsed
	if err := c.scan(p.Vars, &again); err != nil {
		c.complain(cn, p.ID, err)
		return false
	}
	if c.w.files != nil && !cn.listener.event && c.w.files.wants(c) && c.sendStatic(cn, &p) {
		if r.body != nil {
			r.body.free()
		}
		return false
	}
	c.begin(cn, &p, r.body.bytes())
	r.body.offer(c.io)
	c.response.body = r.body
	return true
}
