package worker

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/fastcgi"
	"envoxyd/transports/http"
)

// headTime bounds how long a whole request head may take, even if it never pauses; --http has an option for it.
const headTime = 60 * time.Second

// receivers keep what goroutines parse with; a parser is some 20 KiB.
var receivers = sync.Pool{New: func() any { return new(parser) }}

// receiveSlowly gives the connection to a goroutine that reads the rest.
func (c *core) receiveSlowly(cn *conn, data []byte, p parsed) {
	c.release(cn)
	start := append([]byte(nil), data...)
	c.w.receiving.Add(1)
	go func() { // ends by the connection's timeout; drained waits for it
		defer c.w.receiving.Add(-1)
		r := c.w.receiveRest(cn, start)
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
func (w *Worker) receiveRest(cn *conn, data []byte) *request {
	p := receivers.Get().(*parser)
	defer receivers.Put(p)
	p.w = w
	if need := 2*w.spec.Limits.BufferSize + 16<<10; cap(p.vars) < need {
		p.vars = make([]byte, need)
	}
	stream, err := duplicate(cn.fd)
	if err != nil {
		w.logLimited(&w.limits.receive, "unable to receive a request: %v", err)
		if cn.listener.event || cn.listener.fastcgi { // whose number is not known yet
			return nil
		}
		refuseAndClose(cn, http.Refusal(503, err.Error()))
		return &request{}
	}
	defer stream.Close()
	in := &input{stream: stream, timeout: cn.listener.timeout, until: time.Now().Add(cn.listener.head)}

	if cn.listener.fastcgi {
		return w.receiveFastCGI(in, p, cn, data)
	}
	var head parsed
	for {
		head = p.preparse(cn.listener, &cn.peer, data)
		if head.err != nil {
			return w.turnAway(cn, head.err)
		}
		if head.answer != nil {
			_, _ = syscall.Write(cn.fd, head.answer)
			return nil
		}
		if head.vars != nil {
			break
		}
		if data, err = in.more(data); err != nil {
			if cn.listener.http && errors.Is(err, os.ErrDeadlineExceeded) {
				_, _ = syscall.Write(cn.fd, []byte(http.Refusal(408, "").StatusText()))
			}
			return nil
		}
	}
	in.until = time.Time{}
	// preparse's results alias data and the pooled parser: keep copies.
	head.vars = append([]byte(nil), head.vars...)
	if err := w.admit(cn.listener, head.length); err != nil {
		return w.turnAway(cn, err)
	}
	r := &request{conn: cn, parsed: head}
	if head.expect && len(data) == head.headSize {
		if limit := w.spec.HTTP.ExpectLimit; cn.listener.router && limit > 0 && head.length > limit {
			return w.turnAway(cn, errPost)
		}
		_, _ = syscall.Write(cn.fd, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	if cn.listener.puwsgi {
		return r
	}
	if head.chunked {
		return w.receiveChunks(in, r, data[head.headSize:])
	}
	return w.receiveBody(in, r, data[head.headSize:])
}

func (w *Worker) turnAway(cn *conn, err error) *request {
	if refusal := w.complaint(cn, err); refusal != nil {
		refuseAndClose(cn, refusal)
		return &request{}
	}
	return nil
}

// receiveBody reads a body of known length. What the client fails to send is
// the application's to notice, unless it asked for whole bodies only.
func (w *Worker) receiveBody(in *input, r *request, start []byte) *request {
	length := r.parsed.length
	r.body = w.newBody(length)
	if int64(len(start)) > length {
		start, r.parsed.leftover = start[:length], true
	}
	_, err := r.body.Write(start)
	piece := make([]byte, min(max(length-int64(len(start)), 1), 256<<10))
	for err == nil && r.body.size < length {
		var n int
		n, err = in.Read(piece[:min(int64(len(piece)), length-r.body.size)])
		if _, failed := r.body.Write(piece[:n]); failed != nil {
			err = failed
		}
		if r.body.size == length {
			err = nil
		}
	}
	if err == nil {
		return r
	}
	if spool := (*errSpool)(nil); errors.As(err, &spool) {
		return w.spoolFailed(in, r, spool)
	}
	if r.conn.listener.event { // the gateway gives it to another, or says that it cannot
		r.body.free()
		return nil
	}
	r.parsed.keep = false
	r.parsed.state = bodyClosed
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.parsed.state = bodyTimeout
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		w.logf("%v", err)
	}
	if w.spec.Limits.PostBuffering > 0 {
		verb := "Error"
		if r.parsed.state == bodyTimeout {
			verb = "Timeout"
		}
		w.logf("[uwsgi-body-read] %s reading %d bytes. Content-Length: %d consumed: %d left: %d message: the body was cut off",
			verb, length-r.body.size, length, r.body.size, length-r.body.size)
		r.body.free()
		return nil
	}
	return r
}

// spoolFailed answers a request whose body could not be kept: the application never sees it.
func (w *Worker) spoolFailed(in *input, r *request, err *errSpool) *request {
	cn, refusal := r.conn, err.refusal()
	w.logf("%v (%d bytes kept; answered with %d)", err, r.body.size, refusal.Status)
	r.body.free()
	if cn.listener.event { // the gateway gives it to another, or says that it cannot
		return nil
	}
	_, _ = syscall.Write(cn.fd, refusalFor(cn.listener, r.parsed.fastcgi, refusal)) // a client that has left needs no answer
	_ = unix.Shutdown(cn.fd, unix.SHUT_WR)
	w.discard(in)
	cn.close()
	return &request{}
}

// refusalFor is an answer as the listener's protocol has it.
func refusalFor(l *listener, fastcgiID uint16, refusal *http.Error) []byte {
	text := refusal.StatusText()
	if l.status {
		text = "Status: " + strings.TrimPrefix(text, "HTTP/1.1 ")
	}
	if fastcgiID == 0 {
		return []byte(text)
	}
	return fastcgi.AppendEnd(fastcgi.AppendStdout(nil, fastcgiID, []byte(text)), fastcgiID, fastcgi.StatusComplete)
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

// receiveChunks decodes a chunked body and gives it the CONTENT_LENGTH that
// applications look for.
func (w *Worker) receiveChunks(in *input, r *request, start []byte) *request {
	var chunks http.Chunks
	r.body = w.newBody(0)
	data := append([]byte(nil), start...)
	var decoded []byte
	for {
		out, used, err := chunks.Decode(decoded[:0], data)
		decoded = out
		data = append(data[:0], data[used:]...)
		if err == nil {
			_, err = r.body.Write(out)
		}
		if err == nil {
			err = w.admit(r.conn.listener, r.body.size)
		}
		if spool := (*errSpool)(nil); errors.As(err, &spool) {
			return w.spoolFailed(in, r, spool)
		}
		if err != nil {
			r.body.free()
			if errors.Is(err, http.ErrChunk) {
				err = http.Refusal(400, err.Error())
			}
			return w.turnAway(r.conn, err)
		}
		if chunks.Done {
			break
		}
		if data, err = in.more(data); err != nil {
			r.body.free()
			return nil
		}
	}
	r.parsed.leftover = len(data) > 0
	r.parsed.length = r.body.size
	r.parsed.vars = uwsgi.AppendVar(r.parsed.vars, "CONTENT_LENGTH", strconv.FormatInt(r.body.size, 10))
	r.parsed.flags |= reqTerminated
	return r
}

// input reads from a connection, each time for no longer than timeout.
type input struct {
	stream  *os.File
	timeout time.Duration
	until   time.Time // zero: no end
}

func (in *input) Read(p []byte) (int, error) {
	deadline := time.Now().Add(in.timeout)
	if !in.until.IsZero() && in.until.Before(deadline) {
		deadline = in.until
	}
	if err := in.stream.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return in.stream.Read(p)
}

// more appends what one read gives.
func (in *input) more(data []byte) ([]byte, error) {
	if cap(data)-len(data) < 4096 {
		data = append(make([]byte, 0, 2*cap(data)+16384), data...)
	}
	n, err := in.Read(data[len(data):cap(data)])
	if n > 0 {
		return data[:len(data)+n], nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// duplicate is a second descriptor of the connection that goroutines may wait on:
// Go's poller and the core's epoll set must not share one.
func duplicate(fd int) (*os.File, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return os.NewFile(copied, "connection"), nil
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
	if len(p.vars) > len(c.vars) {
		c.complain(cn, errBlock)
		return false
	}
	p.vars = c.vars[:copy(c.vars, p.vars)]
	var again parsed
	if err := c.scan(p.vars, &again); err != nil {
		c.complain(cn, err)
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
