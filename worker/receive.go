package worker

import (
	"errors"
	"syscall"
	"unsafe"

	"envoxyd/internal/monotime"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
	"envoxyd/transports/fastcgi"
	"envoxyd/transports/http"
)

// receive reads once from a connection. True: a request is in io, to be served.
// Otherwise the connection is waited for, given to a goroutine, or gone. The
// reactor's lock is held, as for all that may take a connection from it.
func (s *slot) receive(cn *conn) bool {
	if cn.tls != nil && !cn.tls.ready {
		s.r.shakeHands(cn)
		return false
	}
	if cn.over != nil && cn.ending { // a stream that its client has given up
		s.r.drop(cn)
		return false
	}
	before := cn.rest
	cn.rest = nil
	if len(before) >= len(s.input) {
		s.receiveSlowly(cn, before, &parsed{})
		return false
	}
	have := copy(s.input, before)
	room := s.input[have:]
	n, errno := cn.read(room)
	switch {
	case errno == syscall.EAGAIN && have == 0 && !cn.ending:
		s.r.keep(cn, nil)
		return false
	case errno == syscall.EAGAIN && have > 0:
	case errno != 0 || n == 0 && have == 0:
		s.r.drop(cn)
		return false
	case n == len(room):
		cn.again = true
	case n == 0:
		cn.ending = true
	}
	s.inRow = 0
	s.arrived = s.r.arrival(cn)
	return s.parse(cn, s.input[:have+max(n, 0)])
}

// read is read(2) of what the client says, whether it speaks TLS or not.
func (cn *conn) read(room []byte) (int, syscall.Errno) {
	if cn.inline() {
		n, errno := cn.tls.read(room)
		cn.ending = cn.ending || cn.tls.over
		return n, errno
	}
	return read(cn.fd, room)
}

func read(fd int, room []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

func (s *slot) parse(cn *conn, data []byte) bool {
	p := &s.parsed // of the slot, since what is passed to a responder would go to the heap
	*p = s.preparse(cn.listener, &cn.Conn, data)
	switch {
	case p.Err != nil:
		s.flushHeld()
		s.complain(cn, p.ID, p.Err)
		return false
	case p.Answer != nil && p.Keep:
		return s.greet(cn, p, data)
	case p.Answer != nil:
		s.flushHeld()
		s.w.answered(cn, p)
		s.r.drop(cn)
		return false
	case !p.whole:
		s.receiveSlowly(cn, data, p)
		return false
	}
	if err := s.w.admit(cn.listener, p.Length); err != nil {
		s.flushHeld()
		s.complain(cn, p.ID, err)
		return false
	}
	s.rest = data[p.HeadSize+len(p.body):]
	if answered, more := s.withoutApplication(cn, p); answered {
		return more
	}
	if s.postpones(cn) {
		q := &request{body: s.w.copiedBody(p.body), rest: append([]byte(nil), s.rest...)}
		s.postpone(cn, p, q)
		return false
	}
	s.begin(cn, p, p.body)
	return true
}

// greet answers what asks for the connection to be kept, and goes on with the request behind it.
func (s *slot) greet(cn *conn, p *parsed, data []byte) bool {
	_, _ = syscall.Write(cn.fd, p.Answer) // a client that has left needs no answer
	if data = data[p.HeadSize:]; len(data) == 0 {
		s.r.keep(cn, nil)
		return false
	}
	return s.parse(cn, data)
}

// parsed is what the first bytes of a request are found to be.
type parsed struct {
	transports.Request
	whole bool   // head and body are there
	body  []byte // of a whole request
	flags uint32
	state int32 // of the body: bodyWhole …
	kept  *body // of a whole request that a goroutine has received; nil: it is body
}

var (
	errTooMany = errors.New("too many request variables")
	errPost    = errors.New("request body over the limit")
)

// parser is what it takes to read a request: each slot has one, and each
// goroutine that receives.
type parser struct {
	w         *Worker
	receivers []transports.Receiver // by listener.kind; nil before the first use
	vars      []byte                // room for the variables of a request
	request   info
}

// info is what the variables say about a request; the slices alias them.
type info struct {
	method, uri, path, addr, user, proto []byte
	nvars                                int
	length                               int64 // CONTENT_LENGTH
	sized, chunked                       bool  // whether that says something; HTTP_TRANSFER_ENCODING says chunked
	traceparent, tracestate              []byte
	modifier1, modifier2                 byte
	start                                int64
}

// varsRoom is how large the variables of a request may become: names grow by HTTP_ and length
// prefixes, which twice the head and the connection's own variables cover.
func varsRoom(bufferSize int) int { return 2*bufferSize + 16<<10 }

func (p *parser) receiver(l *listener) transports.Receiver {
	for len(p.receivers) <= l.kind {
		p.receivers = append(p.receivers, nil)
	}
	if p.receivers[l.kind] == nil {
		p.receivers[l.kind] = l.transport.New()
	}
	return p.receivers[l.kind]
}

// preparse finds out what data, the start of a request, holds.
func (p *parser) preparse(l *listener, c *transports.Conn, data []byte) (q parsed) {
	q.Request = p.receiver(l).Receive(c, data, p.vars)
	if q.Vars == nil || q.Err != nil {
		return q
	}
	if q.Err = p.scan(q.Vars, &q); q.Err != nil {
		return q
	}
	if q.Length == transports.FromVars {
		q.Length = p.request.length
		if p.request.chunked && !p.request.sized && q.Body == nil && !q.NoBody { // a router that passes on what it gets
			q.Body, q.Vars = new(http.Chunks), q.Vars[:len(q.Vars):len(q.Vars)] // what is appended is not to overwrite the body
		}
	}
	q.flags |= l.always
	if l.modifier1 != 0 {
		q.Modifier1 = l.modifier1
	}
	if q.Service {
		q.flags |= reqService
	}
	if l.transport.Refuses { // it is HTTP all the way
		q.flags |= l.connectionFlags(q.flags&reqHTTP10 != 0, q.Keep)
		if q.flags&reqHTTP10 == 0 {
			q.flags |= reqHTTP11
		}
	}
	rest := data[q.HeadSize:]
	switch {
	case q.NoBody: // an application that reads one that was announced gets an error
		q.whole = true
		if q.Length > 0 {
			q.state = bodyClosed
		}
	case q.Body == nil && int64(len(rest)) >= q.Length:
		q.whole, q.body = true, rest[:q.Length]
	}
	return q
}

// scan checks the block and notes what it says about the request.
func (p *parser) scan(block []byte, q *parsed) error {
	r := info{}
	for rest := block; len(rest) > 0; {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return err
		}
		rest = more
		if r.nvars++; r.nvars > p.w.spec.Limits.MaxVars {
			return errTooMany
		}
		switch string(key) {
		case "REQUEST_METHOD":
			r.method = value
			if string(value) == "HEAD" {
				q.flags |= reqNoBody
			} else {
				q.flags &^= reqNoBody
			}
		case "REQUEST_URI":
			r.uri = value
		case "PATH_INFO":
			r.path = value
		case "REMOTE_ADDR":
			r.addr = value
		case "REMOTE_USER":
			r.user = value
		case "SERVER_PROTOCOL":
			r.proto = value
		case "CONTENT_LENGTH":
			r.length, r.sized = leadingDigits(value), len(value) > 0
		case "HTTP_TRANSFER_ENCODING":
			r.chunked = string(value) == "chunked"
		case "HTTPS", "HTTP_X_FORWARDED_SSL":
			if isOn(value) {
				q.flags |= reqHTTPS
			}
		case "HTTP_X_FORWARDED_PROTO", "UWSGI_SCHEME":
			if firstIs(value, "https") {
				q.flags |= reqHTTPS
			} else {
				q.flags &^= reqHTTPS
			}
		case "HTTP_TRACEPARENT":
			r.traceparent = value
		case "HTTP_TRACESTATE":
			r.tracestate = value
		case "HTTP_X_FORWARDED_FOR":
			if p.w.spec.Log.ForwardedFor {
				r.addr = value
			}
		}
	}
	if len(r.proto) == 0 || string(r.proto) == "HTTP/1.0" { // nginx says HTTP/2.0 for such clients; the reply's version is ours
		q.flags |= reqHTTP10
	}
	p.request = r
	return nil
}

// leadingDigits reads a CONTENT_LENGTH as uWSGI does: digits up to the first other byte.
func leadingDigits(text []byte) (n int64) {
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<58 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

func isOn(value []byte) bool {
	return len(value) > 0 && (value[0] == '1' || len(value) >= 2 && value[0]|0x20 == 'o' && value[1]|0x20 == 'n')
}

// firstIs looks at the first of the values that proxies have appended.
func firstIs(value []byte, want string) bool {
	if len(value) < len(want) || string(value[:len(want)]) != want {
		return false
	}
	return len(value) == len(want) || value[len(want)] == ',' || value[len(want)] == ' '
}

// answered sends what is to be sent in place of a response.
func (w *Worker) answered(cn *conn, p *parsed) {
	w.open(cn)
	_, _ = syscall.Write(cn.fd, p.Answer) // a client that has left needs no answer
	if p.HeadSize > 0 {                   // it may be about to send a body
		linger(cn.fd, 16)
	}
	if p.Note != "" {
		w.logf("%s", p.Note)
	}
}

// admit refuses a body over the limit before any of it is waited for.
func (w *Worker) admit(l *listener, length int64) error {
	if limit := w.spec.Limits.LimitPost; limit > 0 && length > limit && !l.event {
		return errPost
	}
	return nil
}

// begin makes the request the current one. Its variables and body are in memory
// that stays as it is until finish.
func (s *slot) begin(cn *conn, p *parsed, body []byte) {
	s.now = monotime.Now()
	io := s.io
	io.vars = (*cUint8)(&p.Vars[0])
	io.vars_len = cUint32(len(p.Vars))
	io.body, io.body_fd, io.body_len, io.body_state = nil, -1, cUint64(len(body)), cInt32(p.state)
	if len(body) > 0 {
		io.body = (*cUint8)(&body[0])
	}
	io.content_length = cUint64(p.Length)
	io.flags = cUint32(p.flags)
	io.client_fd = cInt32(cn.fd)
	io.out_len = 0
	if cn.listener.event {
		io.flags |= reqEvent
		io.event_fd = cInt32(cn.fd)
	}
	if s.w.phase.Load() != serving && p.Keep && !cn.Kept {
		io.flags |= reqDrain
	}
	if s.w.spec.Limits.PostBuffering > 0 {
		io.flags |= reqSeekable
	}
	io.entered = cInt64(s.now)
	s.request.start, s.request.modifier1, s.request.modifier2 = s.now, p.Modifier1, p.Modifier2
	s.response = response{keep: p.Keep, id: p.ID}
	s.response.chunks, _ = p.Body.(*http.Chunks)
	s.logvars = s.logvars[:0]
	s.current, cn.inHand = cn, true
	s.claim.Store(unclaimed)
	s.r.inHand++
	s.mark()
	s.beginRouted()
}

// complain logs why a request is not served and answers where the protocol has a way to.
func (s *slot) complain(cn *conn, id uint16, err error) {
	s.leaveArriving(cn)
	s.r.release(cn)
	if s.w.turnAway(cn, id, err) == nil {
		cn.close()
	}
	s.r.forget(cn)
}

// complaint logs why a request is not served. What it returns is to be answered; nil: nothing.
func (w *Worker) complaint(cn *conn, err error) *http.Error {
	var long *transports.TooLongError
	var refused *http.Error
	var modifier transports.ModifierError
	status := 431
	switch {
	case errors.Is(err, fastcgi.ErrAborted):
		return nil
	case errors.As(err, &refused):
		w.logf("invalid HTTP request from %s: %s", cn.RemoteAddr, refused.Reason)
		return refused
	case errors.As(err, &long) && cn.listener.transport.Refuses:
		w.logf("invalid HTTP request size (max %d)...skip (raise --buffer-size)", long.Limit)
	case errors.As(err, &long):
		w.logf("invalid request block size: %d (max %d)...skip (raise --buffer-size, unless the client speaks HTTP to a uwsgi socket)", long.Size, long.Limit)
	case errors.As(err, &modifier):
		w.logf("-- unavailable modifier requested: %d --", byte(modifier))
	case errors.Is(err, transports.ErrEmpty):
		w.logf("Empty python request. skip.")
	case errors.Is(err, errPost):
		w.logf("Invalid (too big) CONTENT_LENGTH. skip.")
		status = 413
	case errors.Is(err, errTooMany):
		w.logf("max vec size reached. skip this var. (raise --max-vars)")
	case errors.Is(err, transports.ErrBlock):
		w.logf("[WARNING] unable to build uwsgi packet from http request (raise --buffer-size)")
	case errors.Is(err, uwsgi.ErrEmptyKey):
		w.logf("uwsgi key cannot be null. skip this var.")
	default:
		w.logf("invalid uwsgi request (%v). skip.", err)
	}
	if !cn.listener.transport.Refuses {
		return nil
	}
	return http.Refusal(status, err.Error())
}
