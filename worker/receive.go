package worker

import (
	"errors"
	"syscall"
	"unsafe"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/monotime"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/http"
)

// receive reads once from a connection. True: a request is in io, to be served.
// Otherwise the connection is waited for, given to a goroutine, or gone.
func (c *core) receive(cn *conn) bool {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(cn.fd), uintptr(unsafe.Pointer(&c.input[0])), uintptr(len(c.input)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		c.keep(cn)
		return false
	case errno != 0 || n == 0:
		c.drop(cn)
		return false
	}
	return c.parse(cn, c.input[:n])
}

func (c *core) parse(cn *conn, data []byte) bool {
	p := c.preparse(cn.listener, &cn.peer, data)
	switch {
	case p.err != nil:
		c.complain(cn, p.err)
		return false
	case p.answer != nil:
		_, _ = syscall.Write(cn.fd, p.answer) // a client that has left needs no answer
		c.drop(cn)
		return false
	case !p.whole:
		c.receiveSlowly(cn, data, p)
		return false
	}
	if err := c.w.admit(cn.listener, p.length); err != nil {
		c.complain(cn, err)
		return false
	}
	if c.w.files != nil && !cn.listener.event && c.w.files.wants(c) && c.sendStatic(cn, &p) {
		return false
	}
	c.begin(cn, &p, p.body)
	return true
}

// parsed is what the first bytes of a connection are found to be.
type parsed struct {
	whole    bool   // head and body are there
	headSize int    // bytes of the head, when that much is known
	vars     []byte // the variable block, valid as long as the buffer and the core's vars are
	body     []byte
	length   int64 // of the body, announced
	chunked  bool
	expect   bool // 100-continue is waited for
	keep     bool
	flags    uint32
	leftover bool // there is more behind the request
	answer   []byte
	err      error

	modifier1, modifier2 byte   // of a uwsgi packet
	fastcgi              uint16 // the request's number; 0: it is none of FastCGI's
	state                int32  // of the body: bodyWhole …
}

// errTooLong is a head over the buffer size.
type errTooLong struct{ size, limit int }

func (e *errTooLong) Error() string { return "request head over the buffer size" }

var (
	errEmpty   = errors.New("empty python request")
	errTooMany = errors.New("too many request variables")
	errBlock   = errors.New("unable to build the variable block")
	errPost    = errors.New("request body over the limit")
)

type errModifier byte

func (e errModifier) Error() string { return "unavailable modifier" }

// parser is what it takes to read a request: each core has one, and each
// goroutine that receives.
type parser struct {
	w       *Worker
	head    http.Head
	vars    []byte // room for the variables of an HTTP request
	request info
}

// info is what the variables say about a request; the slices alias them.
type info struct {
	method, uri, path, addr, user, proto []byte
	nvars                                int
	modifier1, modifier2                 byte
	start                                int64
}

// preparse finds out what data, the start of a request, holds.
func (c *parser) preparse(l *listener, peer *http.Peer, data []byte) (p parsed) {
	switch {
	case l.http:
		return c.preparseHTTP(l, peer, data)
	case l.scgi:
		return c.preparseSCGI(data)
	case l.fastcgi:
		return p // it comes in pieces, which receiveFastCGI puts together
	}
	limit := c.w.spec.Limits.BufferSize
	if l.event {
		limit = max(limit, eventVars)
	}
	if len(data) < uwsgi.HeaderSize {
		return p
	}
	header := uwsgi.ParseHeader(data)
	if header.Modifier1 == uwsgi.ModifierPing {
		p.answer = uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: uwsgi.ModifierPing, Modifier2: 1})
		c.w.logf("PING")
		return p
	}
	if header.Size > limit {
		p.err = &errTooLong{header.Size, limit}
		return p
	}
	p.headSize = uwsgi.HeaderSize + header.Size
	if len(data) < p.headSize {
		return p
	}
	if header.Modifier1 != uwsgi.ModifierPython && header.Modifier1 != uwsgi.ModifierManage {
		p.err = errModifier(header.Modifier1)
		return p
	}
	p.modifier1, p.modifier2 = header.Modifier1, header.Modifier2
	p.keep = l.event && header.Modifier2 != gatewayspec.EndsWithStream
	p.vars = data[uwsgi.HeaderSize:p.headSize]
	if len(p.vars) == 0 {
		p.err = errEmpty
		return p
	}
	p.err = c.scan(p.vars, &p)
	if p.err != nil {
		return p
	}
	rest := data[p.headSize:]
	if l.puwsgi {
		p.withoutBody(len(rest))
		return p
	}
	if int64(len(rest)) >= p.length {
		p.whole, p.body = true, rest[:p.length]
	}
	return p
}

// eventVars is how large the variables of an event may be: headers of a ZeroMQ
// request are among them, and --buffer-size is about other clients.
const eventVars = 16 << 10

// withoutBody ends the packet here: persistent uwsgi has no place for bodies.
// An application that reads one that was announced gets an error.
func (p *parsed) withoutBody(following int) {
	p.whole, p.keep, p.leftover = true, true, following > 0
	if p.length > 0 {
		p.state = bodyClosed
	}
}

func (c *parser) preparseHTTP(l *listener, peer *http.Peer, data []byte) (p parsed) {
	limit := c.w.spec.Limits.BufferSize
	if peer.ProxyHeader == http.AwaitProxy {
		size, addresses, err := http.ProxyHeader(data)
		if p.err = err; err != nil || size < 0 {
			return p
		}
		addresses.Apply(peer)
		peer.ProxyHeader = size
	}
	p.headSize, data = peer.ProxyHeader, data[peer.ProxyHeader:]
	n, err := c.head.Parse(data)
	if err != nil {
		p.err = err
		return p
	}
	if n > limit || n == 0 && len(data) > limit {
		p.err = &errTooLong{max(n, len(data)), limit}
		return p
	}
	if n == 0 {
		p.headSize = 0
		return p
	}
	p.headSize += n
	peer.ProxyHeader = 0 // what comes later is the client's
	vars, err := c.head.AppendVars(c.vars[:0], peer)
	if err != nil {
		p.err = err
		return p
	}
	if len(vars) > cap(c.vars) || len(vars) > 0 && &vars[0] != &c.vars[0] {
		p.err = errBlock
		return p
	}
	p.vars = vars
	if p.err = c.scan(vars, &p); p.err != nil {
		return p
	}
	p.chunked, p.expect = c.head.Chunked, c.head.Continue
	p.keep = l.keepalive && c.head.Persistent()
	p.length = max(c.head.ContentLength, 0)
	if c.head.Minor == 0 {
		p.flags |= reqHTTP10
	} else if l.chunk && p.keep {
		p.flags |= reqChunk
	}
	if l.router && l.keepalive && c.head.Minor == 1 {
		p.flags |= reqSayClose
	}
	rest := data[n:]
	if !p.chunked && int64(len(rest)) >= p.length {
		p.whole, p.body = true, rest[:p.length]
		p.leftover = int64(len(rest)) > p.length
	}
	return p
}

// scan checks the block and notes what it says about the request.
func (c *parser) scan(block []byte, p *parsed) error {
	r := info{}
	p.length = 0
	for rest := block; len(rest) > 0; {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return err
		}
		rest = more
		if r.nvars++; r.nvars > c.w.spec.Limits.MaxVars {
			return errTooMany
		}
		switch string(key) {
		case "REQUEST_METHOD":
			r.method = value
			if string(value) == "HEAD" {
				p.flags |= reqNoBody
			} else {
				p.flags &^= reqNoBody
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
			p.length = leadingDigits(value)
		case "HTTPS", "HTTP_X_FORWARDED_SSL":
			if isOn(value) {
				p.flags |= reqHTTPS
			}
		case "HTTP_X_FORWARDED_PROTO", "UWSGI_SCHEME":
			if firstIs(value, "https") {
				p.flags |= reqHTTPS
			} else {
				p.flags &^= reqHTTPS
			}
		case "HTTP_X_FORWARDED_FOR":
			if c.w.spec.Log.ForwardedFor {
				r.addr = value
			}
		}
	}
	if len(r.proto) == 0 || string(r.proto) == "HTTP/1.0" { // nginx says HTTP/2.0 for such clients; the reply's version is ours
		p.flags |= reqHTTP10
	}
	c.request = r
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

// admit refuses a body over the limit before any of it is waited for.
func (w *Worker) admit(l *listener, length int64) error {
	if limit := w.spec.Limits.LimitPost; limit > 0 && length > limit && !l.event {
		return errPost
	}
	return nil
}

// begin makes the request the current one. Its variables and body are in memory
// that stays as it is until finish.
func (c *core) begin(cn *conn, p *parsed, body []byte) {
	c.now = monotime.Now()
	io := c.io
	io.vars = (*cUint8)(&p.vars[0])
	io.vars_len = cUint32(len(p.vars))
	io.body, io.body_fd, io.body_len, io.body_state = nil, -1, cUint64(len(body)), cInt32(p.state)
	if len(body) > 0 {
		io.body = (*cUint8)(&body[0])
	}
	io.content_length = cUint64(p.length)
	io.flags = cUint32(p.flags)
	io.client_fd = cInt32(cn.fd)
	io.out_len = 0
	if cn.listener.status {
		io.flags |= reqStatus
	}
	if cn.listener.event {
		io.flags |= reqEvent
		io.event_fd = cInt32(cn.fd)
	}
	if c.w.phase.Load() != serving && p.keep {
		io.flags |= reqDrain
	}
	if c.w.spec.Limits.PostBuffering > 0 {
		io.flags |= reqSeekable
	}
	c.request.start, c.request.modifier1, c.request.modifier2 = c.now, p.modifier1, p.modifier2
	c.response = response{keep: p.keep && !p.leftover, fastcgi: p.fastcgi}
	c.logvars = c.logvars[:0]
	c.current = cn
	cn.requests++
	c.mark()
}

// complain logs why a request is not served and answers where the protocol has a way to.
func (c *core) complain(cn *conn, err error) {
	if refusal := c.w.complaint(cn, err); refusal != nil {
		c.refuse(cn, refusal)
	} else {
		c.drop(cn)
	}
}

// complaint logs why a request is not served. What it returns is to be answered; nil: nothing.
func (w *Worker) complaint(cn *conn, err error) *http.Error {
	var long *errTooLong
	var refused *http.Error
	var modifier errModifier
	status := 431
	switch {
	case errors.As(err, &refused):
		w.logf("invalid HTTP request from %s: %s", cn.peer.RemoteAddr, refused.Reason)
		return refused
	case errors.As(err, &long) && cn.listener.http:
		w.logf("invalid HTTP request size (max %d)...skip (raise --buffer-size)", long.limit)
	case errors.As(err, &long):
		w.logf("invalid request block size: %d (max %d)...skip (raise --buffer-size, unless the client speaks HTTP to a uwsgi socket)", long.size, long.limit)
	case errors.As(err, &modifier):
		w.logf("-- unavailable modifier requested: %d --", byte(modifier))
	case errors.Is(err, errEmpty):
		w.logf("Empty python request. skip.")
	case errors.Is(err, errPost):
		w.logf("Invalid (too big) CONTENT_LENGTH. skip.")
		status = 413
	case errors.Is(err, errTooMany):
		w.logf("max vec size reached. skip this var. (raise --max-vars)")
	case errors.Is(err, errBlock):
		w.logf("[WARNING] unable to build uwsgi packet from http request (raise --buffer-size)")
	case errors.Is(err, uwsgi.ErrEmptyKey):
		w.logf("uwsgi key cannot be null. skip this var.")
	default:
		w.logf("invalid uwsgi request (%v). skip.", err)
	}
	if !cn.listener.http {
		return nil
	}
	return http.Refusal(status, err.Error())
}
