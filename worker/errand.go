package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/http"
)

// errand is a request that something else than the application answers, and has to be waited for: a CGI program, or another
// server. A goroutine does that; neither a core nor Python's lock is held meanwhile. The errand is its goroutine's, but for
// what is the client's watch's.
type errand struct {
	w      *Worker
	by     answerer
	conn   *conn
	stream *os.File // a second descriptor of the connection
	parsed parsed
	memory []byte // the body; nil: it is kept, or there is none
	kept   *body
	coming *arriving // a body that is not there yet; nil: it is
	held   []byte    // of responses before this one, to be sent first
	routed *routed   // the rules' view of the request; nil: they have not seen it
	began  time.Time
	limits errandLimits

	outcome errandOutcome
	answer  errandAnswer
	client  clientWatch
}

// answerer is what answers an errand. Its methods are called by the errand's goroutine, but for wake.
type answerer interface {
	// respond has the request answered, by pass. The error is why it was not, or not wholly.
	respond(e *errand) error
	// wake ends what respond waits for: the client has gone. Any goroutine may call it.
	wake()
	// refusal is what is answered in place of an error, with further header lines, and what the log is told.
	refusal(e *errand, err error) (status int, more, reason string)
	// end is called when the request is a core's again.
	end(e *errand)
}

// errandLimits are when an answerer has to go on, and what is wrong otherwise.
type errandLimits struct {
	idle                       time.Duration // between pieces; 0: none
	harakiri                   time.Duration // for all; 0: none
	idleText, endText, headTxt timeLimit
}

// errandOutcome is what a core needs to account for the request.
type errandOutcome struct {
	start, arrived  int64 // as slot.now and slot.arrived
	status, headers int
	head            int   // bytes
	sent            int64 // of the body
	result          uint32
	errno           syscall.Errno
	routed          *routed
	forwarded       bool
	span            span
}

// leave has a goroutine see to the request's being answered. The reactor's lock is held.
func (s *slot) leave(cn *conn, p *parsed, by answerer, limits errandLimits) {
	s.r.release(cn)
	e := &errand{w: s.w, by: by, conn: cn, parsed: *p, kept: p.kept, began: time.Now(), limits: limits}
	e.outcome.start, e.outcome.arrived = monotime.Now(), s.arrived
	e.parsed.Vars = append([]byte(nil), p.Vars...)
	e.memory = append(e.memory, p.body...)
	e.held = append(e.held, s.takeHeld()...)
	e.parsed.body, e.parsed.kept, p.kept = nil, nil, nil
	cn.rest, s.rest = append(cn.rest, s.rest...), nil
	e.coming, s.arriving = s.arriving, nil
	if e.routed = s.giveRouted(e.parsed.Vars); e.routed != nil {
		e.routed.outside.start = e.outcome.start
	}
	e.outcome.span = s.takeSpan()
	if limit := s.w.spec.Limits.HarakiriSeconds; limit > 0 {
		e.limits.harakiri = time.Duration(limit) * time.Second
	}
	if e.routed != nil && e.routed.request.Effects.HarakiriSeconds > 0 {
		e.limits.harakiri = time.Duration(e.routed.request.Effects.HarakiriSeconds) * time.Second
	}
	s.w.errands.Add(1)
	go e.run() // ends by its time limits, or with what answers; drained waits for it
}

// run has the request answered, and gives it to a core for the rest.
func (e *errand) run() {
	defer e.w.errands.Add(-1)
	e.serve()
	e.client.stop()
	if e.stream != nil {
		_ = e.stream.Close()
	}
	e.conn.rest = append(e.conn.rest, e.client.more...)
	e.conn.ending = e.conn.ending || e.client.halfClosed
	if e.kept != nil {
		e.kept.free()
	}
	e.outcome.routed = e.routed
	e.w.ready.put(&request{conn: e.conn, parsed: e.parsed, errand: &e.outcome})
	e.by.end(e)
}

// serve has the request answered.
func (e *errand) serve() {
	var err error
	e.w.open(e.conn)
	if e.stream, err = duplicate(e.conn.fd); err != nil {
		e.w.logLimited(&e.w.limits.receive, "unable to have a request answered: %v", err)
		e.outcome.result |= resBroken
		return
	}
	if err := e.collect(); err != nil {
		e.parsed.state = bodyClosed
		e.failed(err)
		return
	}
	if e.parsed.state != bodyWhole {
		e.refuse(400, "", "")
		return
	}
	e.client.start(e)
	if err := e.by.respond(e); err != nil {
		e.failed(err)
	}
}

// collect waits for the rest of a body that an application would have been given while it comes: what answers errands wants
// to know its length.
func (e *errand) collect() error {
	if e.coming == nil {
		return nil
	}
	e.kept = e.w.newBody(e.parsed.Length)
	_, err := io.CopyBuffer(e.kept, struct{ io.Reader }{e.coming}, make([]byte, errandPiece))
	rest, whole := e.coming.leave()
	if !whole {
		e.parsed.Keep, e.conn.receiving = false, true
		return &bodyError{err}
	}
	e.conn.rest, e.parsed.state, e.parsed.Length = rest, bodyWhole, e.kept.size
	return err
}

// bodyError is a body that has not come.
type bodyError struct{ err error }

func (b *bodyError) Error() string { return fmt.Sprintf("the request's body has not come: %v", b.err) }
func (b *bodyError) Unwrap() error { return b.err }

// Errors of errands.
var (
	errGone     = errors.New("the client has gone")       // or cannot be written to
	errAnswered = errors.New("rules have answered")       // in place of what the answerer says
	errCrowd    = errors.New("too many requests at once") // the client is turned away
)

// timeLimit is one that has been exceeded.
type timeLimit string

func (t timeLimit) Error() string { return string(t) }

// clientError is one of the client's connection.
type clientError struct{ err error }

func (c *clientError) Error() string { return c.err.Error() }
func (c *clientError) Unwrap() error { return c.err }

// failed tells the client, if it has been told nothing yet, and the log.
func (e *errand) failed(err error) {
	var limit timeLimit
	var ofClient *clientError
	var unkept *errSpool
	var absent *bodyError
	switch {
	case errors.As(err, &unkept):
		e.w.logLimited(&e.w.limits.spool, "%v", err)
		e.refuse(unkept.refusal().Status, "", "")
	case errors.As(err, &absent):
		e.refuseBody(absent.err)
	case errors.Is(err, errAnswered):
	case errors.Is(err, errGone):
		e.outcome.result |= resBroken
	case errors.As(err, &ofClient):
		e.outcome.result |= resBroken
		if errno := errnoOf(err); errno != syscall.EIO {
			e.outcome.errno = errno
		}
	case errors.As(err, &limit):
		e.refuse(504, "", limit.Error()+": "+e.uri())
	case errors.Is(err, errCrowd):
		e.refuse(503, "", "")
	default:
		e.refuse(e.by.refusal(e, err))
	}
}

// refuse gives the server's own answer, unless another one has begun.
func (e *errand) refuse(status int, more, reason string) {
	if reason != "" {
		e.w.logf("%s", strings.TrimSpace(reason))
	}
	if e.answer.begun {
		e.outcome.result |= resBroken
		return
	}
	kind, body := e.conn.listener.pages.body(status)
	fields := "Content-Type: " + kind + "\r\n" + more
	if err := e.sendWhole(statusLine(status), fmt.Appendf(nil, "%sContent-Length: %d\r\n", fields, len(body)), body, true, true); err != nil {
		e.outcome.result |= resBroken
	}
}

// refuseBody answers a request whose body is not as it should be; a client that has not sent all of it needs no answer.
func (e *errand) refuseBody(err error) {
	var malformed *http.Error
	switch {
	case errors.Is(err, errPost):
		e.refuse(413, "", "")
	case errors.As(err, &malformed):
		e.refuse(malformed.Status, "", "")
	default:
		e.outcome.result |= resBroken
	}
}

// deadline is when harakiri ends the errand; zero: never.
func (e *errand) deadline() (at time.Time) {
	if limit := e.limits.harakiri; limit > 0 {
		at = e.began.Add(limit)
	}
	return at
}

// limit is when the next bytes of an answer are due, and what is wrong then; zero: at no time.
func (e *errand) limit() (until time.Time, err error) {
	sooner := func(at time.Time, text timeLimit) {
		if until.IsZero() || at.Before(until) {
			until, err = at, text
		}
	}
	if e.limits.idle > 0 {
		sooner(time.Now().Add(e.limits.idle), e.limits.idleText)
	}
	if end := e.deadline(); !end.IsZero() {
		sooner(end, e.limits.endText)
	}
	if answer := e.conn.listener.answer; answer > 0 && !e.answer.begun {
		sooner(e.began.Add(answer), e.limits.headTxt)
	}
	return until, err
}

// read reads from what answers, for as long as the limits allow: by read, until a time (zero: for ever).
func (e *errand) read(read func(until time.Time) (int, error)) (int, error) {
	until, limit := e.limit()
	for {
		if e.client.left() {
			return 0, errGone
		}
		n, err := read(until)
		switch {
		case n > 0 || err == nil:
			return n, nil
		case e.client.left():
			return 0, errGone
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case until.IsZero() || time.Now().Before(until): // it was woken, or the clock is not that fine
		default:
			return 0, limit
		}
	}
}

// length is that of the body; -1: there is none. One that came in chunks may be empty.
func (e *errand) length() int64 {
	switch {
	case e.kept != nil && (e.kept.size > 0 || e.parsed.Body != nil):
		return e.kept.size
	case len(e.memory) > 0:
		return int64(len(e.memory))
	case e.parsed.Body != nil || e.saysLength():
		return 0
	}
	return -1
}

// saysLength tells whether the client has said how long the body is: not at all.
func (e *errand) saysLength() bool { return e.variable("CONTENT_LENGTH") != "" }

func (e *errand) uri() string { return e.variable("REQUEST_URI") }

func (e *errand) variable(wanted string) string {
	for rest := e.parsed.Vars; len(rest) > 0; {
		name, value, more, err := uwsgi.Next(rest)
		if err != nil {
			break
		}
		if rest = more; string(name) == wanted {
			return string(value)
		}
	}
	return ""
}

// errandEnded accounts for a request that was answered off the core, and decides about its connection. True: a next
// request, which was sent along with this one, is in io.
func (s *slot) errandEnded(cn *conn, p *parsed, o *errandOutcome) bool {
	s.takeRouted(o.routed)
	s.begin(cn, p, nil)
	s.request.start = o.start
	s.io.entered, s.arrived = cInt64(o.start), o.arrived
	io := s.io
	io.app, io.switches, io.result = -1, 0, cUint32(o.result)
	io.status, io.headers, io.head_len, io.sent = cUint32(o.status), cUint32(o.headers), cUint32(o.head), cUint64(o.sent)
	s.response.errno, s.response.forwarded = o.errno, o.forwarded
	s.putSpan(&o.span)
	s.w.staticServed.Add(1)
	if o.forwarded {
		s.line.Routed.Store(s.line.Routed.Load() + 1)
	}
	s.finishHolding()
	return s.settle()
}
