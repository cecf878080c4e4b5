package worker

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/protocol/uwsgi"
	"envoxyd/worker/cgi"
)

// scripts are the CGI programs of a worker: each is started, read and waited for by a goroutine. Neither a core nor
// Python's lock is held meanwhile.
type scripts struct {
	w        *Worker
	server   *cgi.Server
	software string
	room     chan struct{} // holds one for each program that runs
	inHand   atomic.Int64  // requests, those that wait for room included
	most     int64         // of them; others are turned away
	active   atomic.Int64  // goroutines; a worker that leaves waits for them
}

// newScripts returns nil where no option asks for programs.
func newScripts(w *Worker) *scripts {
	options := w.spec.CGI
	if options == nil {
		return nil
	}
	// Go would have programs ignore SIGPIPE, as the worker does; a signal that is taken is theirs to die of.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return &scripts{
		w: w, server: cgi.New(*options), software: "envoxyd/" + w.spec.Version,
		room: make(chan struct{}, options.Most), most: int64(options.Most + options.Waiting),
	}
}

// wants tells whether a program is to answer the request.
func (c *scripts) wants(p *parsed) bool { return c != nil && p.Modifier1 == uwsgi.ModifierCGI }

// running is the number of goroutines.
func (c *scripts) running() int64 {
	if c == nil {
		return 0
	}
	return c.active.Load()
}

// script is a request that a program answers, and what has become of it so far. It is its goroutine's, but for what
// is the client's watch's.
type script struct {
	c       *scripts
	conn    *conn
	stream  *os.File // a second descriptor of the connection
	parsed  parsed
	memory  []byte // the body; nil: it is kept, or there is none
	kept    *body
	held    []byte // of responses before this one, to be sent first
	began   time.Time
	process *cgi.Process
	started atomic.Pointer[cgi.Process] // process, for other goroutines
	cut     bool                        // the program's end was not waited for
	outcome scriptOutcome
	answer  scriptAnswer

	client clientWatch
}

// scriptOutcome is what a core needs to account for the request.
type scriptOutcome struct {
	start           int64 // as slot.now
	status, headers int
	head            int   // bytes
	sent            int64 // of the body
	result          uint32
	errno           syscall.Errno
}

// runScript leaves the request to a goroutine. The reactor's lock is held.
func (s *slot) runScript(cn *conn, p *parsed) {
	c := s.w.scripts
	s.r.release(cn)
	one := &script{c: c, conn: cn, parsed: *p, kept: p.kept, began: time.Now()}
	one.outcome.start = monotime.Now()
	one.parsed.Vars = append([]byte(nil), p.Vars...)
	one.memory = append(one.memory, p.body...)
	one.held = append(one.held, s.takeHeld()...)
	one.parsed.body, one.parsed.kept, p.kept = nil, nil, nil
	cn.rest, s.rest = append(cn.rest, s.rest...), nil
	c.active.Add(1)
	go one.run() // ends by its time limits, or the program's end; drained waits for it
}

// run answers the request, gives it to a core for the rest, and waits for the program.
func (one *script) run() {
	c := one.c
	defer c.active.Add(-1)
	inHand := c.inHand.Add(1)
	defer c.inHand.Add(-1)
	one.serve(inHand > c.most)
	one.client.stop()
	if one.stream != nil {
		_ = one.stream.Close()
	}
	one.conn.rest = append(one.conn.rest, one.client.more...)
	one.conn.ending = one.conn.ending || one.client.halfClosed
	if one.kept != nil {
		one.kept.free()
	}
	c.w.ready.put(&request{conn: one.conn, parsed: one.parsed, script: &one.outcome})
	if one.process == nil {
		return
	}
	defer func() { <-c.room }()
	one.process.Close()
	if c.w.spec.CGI.LeaveRunning {
		return // the process's own goroutine waits for it
	}
	if err := one.process.Wait(one.end()); err != nil && !one.cut {
		c.w.logf("CGI: %s: %v", one.uri(), err)
	}
}

// end is when harakiri ends the program; zero: never.
func (one *script) end() (at time.Time) {
	if limit := one.c.w.spec.Limits.HarakiriSeconds; limit > 0 {
		at = one.began.Add(time.Duration(limit) * time.Second)
	}
	return at
}

// errGone: the client has closed the connection, or cannot be written to.
var errGone = errors.New("the client has gone")

// timeLimit is one that has been exceeded.
type timeLimit string

func (t timeLimit) Error() string { return string(t) }

// serve has a program answer the request. turnedAway: there are too many already.
func (one *script) serve(turnedAway bool) {
	var err error
	one.c.w.open(one.conn)
	if one.stream, err = duplicate(one.conn.fd); err != nil {
		one.c.w.logLimited(&one.c.w.limits.receive, "unable to run a CGI program: %v", err)
		one.outcome.result |= resBroken
		return
	}
	if turnedAway {
		one.c.w.logLimited(&one.c.w.limits.scripts, "more than %d requests for CGI programs at once: others are turned away", one.c.most)
		one.refuse(503, "", "")
		return
	}
	if one.parsed.state != bodyWhole {
		one.refuse(400, "", "")
		return
	}
	one.client.start(one)
	if err := one.start(); err != nil {
		one.failed(err)
		return
	}
	if err := one.pass(); err != nil {
		one.cut = !one.ended(err)
		if one.cut && !one.c.w.spec.CGI.LeaveRunning {
			one.process.Kill()
		}
		one.failed(err)
	}
}

// ended tells whether the program has ended its output by itself.
func (one *script) ended(err error) bool {
	var head *cgi.HeadError
	return errors.As(err, &head) && head.Early
}

// start finds the program and starts it as soon as there is room.
func (one *script) start() error {
	c := one.c
	pathInfo, docroot := "", ""
	for rest := one.parsed.Vars; len(rest) > 0; {
		name, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return err
		}
		rest = more
		switch string(name) {
		case "PATH_INFO":
			pathInfo = string(value)
		case "DOCUMENT_ROOT":
			docroot = string(value)
		}
	}
	program, err := c.server.Find(pathInfo, docroot)
	if err != nil {
		return err
	}
	input, size, err := one.input()
	if err != nil {
		return err
	}
	if input != nil && one.kept == nil {
		defer input.Close()
	}
	environ, err := c.server.Environ(os.Environ(), one.parsed.Vars, program, size, c.software)
	if err != nil {
		return err
	}
	if err := one.waitForRoom(); err != nil {
		return err
	}
	if one.process, err = program.Start(environ, input); err != nil {
		<-c.room
		return err
	}
	one.started.Store(one.process)
	return nil
}

// waitForRoom returns when another program may run, which takes a place that is to be given back.
func (one *script) waitForRoom() error {
	until, late := one.limit()
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case one.c.room <- struct{}{}:
		return nil
	case <-one.client.gone:
		return errGone
	case <-timeout:
		return late
	}
}

// input is the body as a file; nil: there is none.
func (one *script) input() (*os.File, cgi.Body, error) {
	data := one.memory
	if one.kept != nil {
		if one.kept.file != nil {
			_, err := one.kept.file.Seek(0, io.SeekStart)
			return one.kept.file, cgi.Body(one.kept.size), err
		}
		data = one.kept.memory
	}
	if len(data) == 0 {
		if one.parsed.Body != nil { // it came in chunks, and there were none
			return nil, 0, nil
		}
		return nil, cgi.NoBody, nil
	}
	file, err := openMemory("")
	if err != nil {
		return nil, 0, err
	}
	_, err = file.Write(data)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if one.kept != nil {
		one.kept.free()
		one.kept = nil
	}
	return file, cgi.Body(len(data)), nil
}

// wake ends a wait for the program's output: the client has gone.
func (one *script) wake() {
	if process := one.started.Load(); process != nil {
		_ = process.SetReadDeadline(time.Now())
	}
}

// read reads output of the program, for as long as the limits allow.
func (one *script) read(room []byte) (int, error) {
	for {
		until, limit := one.limit()
		if err := one.process.SetReadDeadline(until); err != nil {
			return 0, err
		}
		if one.client.left() {
			return 0, errGone
		}
		n, err := one.process.Read(room)
		switch {
		case n > 0 || err == nil:
			return n, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case until.IsZero() || time.Now().Before(until): // it was woken
		default:
			return 0, limit
		}
	}
}

// limit is when the next bytes of the program are due, and what is wrong then; zero: at no time.
func (one *script) limit() (until time.Time, err error) {
	w := one.c.w
	sooner := func(at time.Time, text timeLimit) {
		if until.IsZero() || at.Before(until) {
			until, err = at, text
		}
	}
	if idle := w.spec.CGI.TimeoutSeconds; idle > 0 {
		sooner(time.Now().Add(time.Duration(idle)*time.Second), "CGI timeout !!! (cgi-timeout)")
	}
	if end := one.end(); !end.IsZero() {
		sooner(end, "HARAKIRI ON A CGI PROGRAM (harakiri)")
	}
	if answer := one.conn.listener.answer; answer > 0 && !one.answer.begun {
		sooner(one.began.Add(answer), "a CGI program has not begun to answer (http-timeout)")
	}
	return until, err
}

// failed tells the client, if it has been told nothing yet, and the log.
func (one *script) failed(err error) {
	var refused *cgi.RefusedError
	var head *cgi.HeadError
	var limit timeLimit
	var errno syscall.Errno
	switch {
	case errors.As(err, &refused):
		one.refuse(refused.Status, refused.Location, refused.Reason)
	case errors.Is(err, errGone):
		one.outcome.result |= resBroken
	case errors.Is(err, cgi.ErrNUL):
		one.refuse(400, "", "")
	case errors.As(err, &limit):
		one.refuse(504, "", limit.Error()+": "+one.uri())
	case errors.As(err, &head):
		one.refuse(500, "", err.Error()+": "+one.uri())
	case one.process == nil:
		one.refuse(500, "", err.Error())
	default: // of the connection
		one.outcome.result |= resBroken
		if errno = errnoOf(err); errno != syscall.EIO {
			one.outcome.errno = errno
		}
	}
}

// refuse gives the server's own answer in place of a program's, unless that has begun.
func (one *script) refuse(status int, location, reason string) {
	if reason != "" {
		one.c.w.logf("%s", strings.TrimSpace(reason))
	}
	if one.answer.begun {
		one.outcome.result |= resBroken
		return
	}
	more := ""
	if location != "" {
		more = "Location: " + location + "\r\n"
	}
	l, o := one.conn.listener, &one.outcome
	text, head, fields := l.pages.answer(status, more, one.parsed.flags&reqNoBody != 0)
	if l.always&reqStatus != 0 {
		text = append([]byte("Status: "), text[len("HTTP/1.1 "):]...)
	}
	o.status, o.head, o.headers, o.sent = status, head, fields, int64(len(text)-head)
	o.result = resClose | resDelimited
	if err := one.send(text); err != nil {
		o.result |= resBroken
	}
}

func (one *script) uri() string {
	for rest := one.parsed.Vars; len(rest) > 0; {
		name, value, more, err := uwsgi.Next(rest)
		if err != nil {
			break
		}
		if rest = more; string(name) == "REQUEST_URI" {
			return string(value)
		}
	}
	return ""
}

// scriptEnded accounts for a request that a program has answered, and decides about its connection. True: a next
// request, which was sent along with this one, is in io.
func (s *slot) scriptEnded(cn *conn, p *parsed, o *scriptOutcome) bool {
	s.begin(cn, p, nil)
	s.request.start = o.start
	io := s.io
	io.app, io.switches, io.result = -1, 0, cUint32(o.result)
	io.status, io.headers, io.head_len, io.sent = cUint32(o.status), cUint32(o.headers), cUint32(o.head), cUint64(o.sent)
	s.response.errno = o.errno
	s.w.staticServed.Add(1)
	s.finish()
	return s.settle()
}
