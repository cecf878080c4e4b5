package worker

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/transports"
	"envoxyd/transports/http"
)

// receiveSlowly gives the connection to a goroutine that reads the rest.
func (s *slot) receiveSlowly(cn *conn, data []byte, p *parsed) {
	s.r.release(cn)
	start, id := append([]byte(nil), data...), p.ID
	held := append([]byte(nil), s.takeHeld()...)
	s.w.receiving.Add(1)
	go func() { // ends by the connection's timeout; drained waits for it
		defer s.w.receiving.Add(-1)
		r := s.w.receiveRest(cn, held, start, id)
		if r == nil {
			cn.close()
			return
		}
		if r.conn != nil {
			s.w.ready.put(r)
		}
	}()
}

// receiveRest reads until the request is whole. nil: the connection is to be
// closed; a request without connection: it was answered and closed.
// The responses that were held are sent before.
func (w *Worker) receiveRest(cn *conn, held, data []byte, id uint16) *request {
	l := cn.listener
	w.open(cn)
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
	if err := sendPiece(stream, held, l.send); err != nil {
		return nil
	}
	in := &input{stream: stream, timeout: l.timeout, until: time.Now().Add(l.head)}
	head, data, err := w.receiveHead(in, cn, data)
	if err != nil {
		if l.transport.Refuses && errors.Is(err, os.ErrDeadlineExceeded) {
			_, _ = syscall.Write(cn.fd, l.refusal(0, http.Refusal(408, "")))
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
	if w.arrives(l, &head) {
		return w.receiveArriving(in, r, rest)
	}
	switch {
	case head.NoBody:
		r.rest = rest
		return r
	case head.Body != nil:
		return w.receiveFramed(in, r, rest)
	}
	return w.receiveBody(in, r, rest)
}

// receiveHead reads until the head is whole. Its variables are a copy of their own.
func (w *Worker) receiveHead(in *input, cn *conn, data []byte) (parsed, []byte, error) {
	p, kept := w.parsers.Get().(*parser)
	if !kept {
		p = &parser{w: w, vars: make([]byte, varsRoom(w.spec.Limits.BufferSize))}
	}
	defer w.parsers.Put(p)
	for {
		head := p.preparse(cn.listener, &cn.Conn, data)
		if head.Answer != nil && head.Keep {
			_, _ = syscall.Write(cn.fd, head.Answer) // a client that has left needs no answer
			data = data[head.HeadSize:]
			continue
		}
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
	w.open(cn)
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
	w.logLimited(&w.limits.spool, "%v (%d bytes kept; answered with %d)", err, r.body.size, refusal.Status)
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
	text, _, _ := l.pages.answer(refusal.Status, "", false)
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

// receiveText is receive for a stream in memory.
func (s *slot) receiveText(cn *conn, text []byte) bool {
	switch {
	case cn.memory.gone.Load(): // its client has given it up
		s.r.drop(cn)
		return false
	case len(text) >= len(s.input):
		s.receiveSlowly(cn, text, &parsed{})
		return false
	}
	s.inRow = 0
	return s.parse(cn, s.input[:copy(s.input, text)])
}

// serve makes a request from the queue the current one.
func (s *slot) serve(q *request) bool {
	cn := q.conn
	if q.idle {
		cn.index, cn.registered, cn.inHand = -1, false, false
		s.r.keep(cn, nil)
		return false
	}
	if q.text != nil {
		s.arrived = q.since
		return s.receiveText(cn, q.text)
	}
	p := &s.parsed
	*p = q.parsed
	s.arriving, s.arrived = q.arriving, q.since
	if len(p.Vars) > len(s.vars) {
		s.complain(cn, p.ID, transports.ErrBlock)
		return false
	}
	p.Vars = s.vars[:copy(s.vars, p.Vars)]
	var again parsed
	if err := s.scan(p.Vars, &again); err != nil {
		s.complain(cn, p.ID, err)
		return false
	}
	if q.errand != nil {
		return s.errandEnded(cn, p, q.errand)
	}
	cn.rest, s.rest, p.kept = q.rest, nil, q.body
	if q.postponed {
		s.recall(q)
	} else {
		if answered, more := s.withoutApplication(cn, p); answered {
			if p.kept != nil {
				p.kept.free()
			}
			return more
		}
		if s.postpones(cn) {
			s.arriving = nil
			s.postpone(cn, p, q)
			return false
		}
	}
	s.begin(cn, p, q.body.bytes())
	q.body.offer(s.io)
	s.response.body = q.body
	return true
}
