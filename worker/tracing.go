package worker

import (
	"bytes"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/tracing"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
)

// tracer makes the worker's spans. Records of those that are sampled go to the process that exports them.
type tracer struct {
	sampler tracing.Sampler
	sender  *tracing.Sender

	mu  sync.Mutex
	ids tracing.Source // for spans of messages, which any thread may begin; guarded by mu
}

func newTracer(spec *workerspec.Tracing) *tracer {
	if spec == nil {
		return nil
	}
	return &tracer{sampler: spec.Sampler, sender: tracing.NewSender(spec.FD), ids: tracing.NewSource()}
}

// span is that of a request.
type span struct {
	tracing.Context
	parent [8]byte
	state  []byte // tracestate
}

// traced is what a slot needs for spans. It belongs to the slot's thread.
type traced struct {
	sampler tracing.Sampler // the worker's, at hand
	ids     tracing.Source
	span    span   // of the current request
	vars    []byte // C memory: the variables of the request, with the span's context among them
	record  []byte
}

func newTraced(w *Worker) (*traced, error) {
	vars, err := offHeap(varsRoom(w.spec.Limits.BufferSize) + tracedRoom)
	return &traced{sampler: w.tracer.sampler, ids: tracing.NewSource(), vars: vars, record: make([]byte, 0, 1024)}, err
}

const varTraceparent = "HTTP_TRACEPARENT"

// traceHead is what of the variable is before the context of a span: the name, and the lengths of both.
const traceHead = "\x10\x00" + varTraceparent + "\x37\x00"

// tracedRoom is what it takes among the variables.
const tracedRoom = len(traceHead) + tracing.Size

// trace begins the span of a new request, and makes its context the one that the application sees: what that does is below it.
func (s *slot) trace(cn *conn, p *parsed) {
	t := s.traced
	if t == nil {
		return
	}
	if p.Service || cn.listener.event && isMessages(p.Vars) {
		t.span.Context = tracing.Context{}
		return
	}
	r := &s.request
	var parent tracing.Context
	var ok bool
	t.span.state = t.span.state[:0]
	if r.traceparent != nil {
		if parent, ok = tracing.Parse(r.traceparent); ok {
			t.span.state = append(t.span.state, r.tracestate...)
		}
	}
	t.sampler.Begin(&t.span.Context, &parent, &t.ids)
	t.span.parent = parent.Span
	if ok && len(r.traceparent) == tracing.Size { // in its place
		t.span.Put((*[tracing.Size]byte)(r.traceparent))
		return
	}
	p.Vars = t.replace(s, p, ok)
}

// isMessages tells whether an event is a delivery of messages, each of which has a span of its own.
func isMessages(vars []byte) bool {
	for len(vars) > 0 {
		name, value, rest, err := uwsgi.Next(vars)
		if err != nil {
			return false
		}
		if string(name) == gatewayspec.VarKind {
			return string(value) == "mqtt"
		}
		vars = rest
	}
	return false
}

// replace is the variables with the span's context in place of what the client has said of its own.
func (t *traced) replace(s *slot, p *parsed, keepState bool) []byte {
	r, vars := &s.request, p.Vars
	if len(vars)+tracedRoom > len(t.vars) {
		return vars
	}
	var all []byte
	switch {
	case r.traceparent != nil || r.tracestate != nil && !keepState:
		all = t.without(r, vars, keepState)
	case s.endsBehind(p):
		all = vars
	default:
		all = append(t.vars[:0], vars...)
	}
	r.nvars++
	room := (*[tracedRoom]byte)(all[len(all):][:tracedRoom])
	copy(room[:], traceHead)
	t.ids.Put(&t.span.Context, (*[tracing.Size]byte)(room[len(traceHead):]))
	return all[:len(all)+tracedRoom]
}

// endsBehind tells whether the variables can grow where they are: the slot's memory has room for one more, and there is nothing
// of the request in it.
func (s *slot) endsBehind(p *parsed) bool {
	room := p.Vars[len(p.Vars):cap(p.Vars)]
	if len(room) < tracedRoom {
		return false
	}
	switch &room[len(room)-1] {
	case &s.vars[len(s.vars)-1]:
		return true
	case &s.input[len(s.input)-1]: // a uwsgi request as it came
		return len(p.body) == 0 && len(s.rest) == 0 && p.whole
	}
	return false
}

// without is a copy of the variables, but for what the client has said of a trace.
func (t *traced) without(r *info, vars []byte, keepState bool) []byte {
	all := t.vars[:0]
	for len(vars) > 0 {
		name, value, more, err := uwsgi.Next(vars)
		if err != nil {
			break // it has been checked before
		}
		if vars = more; string(name) == varTraceparent || string(name) == "HTTP_TRACESTATE" && !keepState {
			r.nvars--
			continue
		}
		all = uwsgi.AppendVar(all, name, value)
	}
	return all
}

// takeSpan is the span of the request that leaves the core.
func (s *slot) takeSpan() (taken span) {
	if s.traced != nil {
		taken, s.traced.span = s.traced.span, span{}
	}
	return taken
}

// putSpan makes the span that of the request that has come back.
func (s *slot) putSpan(taken *span) {
	if s.traced != nil {
		s.traced.span = *taken
	}
}

// sendSpan ends the span of the request, if it is sampled.
func (s *slot) sendSpan() {
	t := s.traced
	if t == nil || !t.span.IsSampled() {
		return
	}
	io, q, sender := s.io, &s.request, s.w.tracer.sender
	nanos := s.now - q.start
	status := int(io.status)
	ended := tracing.Span{
		Context: t.span.Context, Parent: t.span.parent, Kind: tracing.Server, State: t.span.state, Name: q.method,
		Start: time.Now().UnixNano() - nanos, Nanos: nanos, Dropped: sender.Dropped(),
		Failed: status >= 500 || io.result&resException != 0,
	}
	event := s.current.listener.event
	if event && string(q.method) == "EVENT" {
		ended.Kind, ended.Name = tracing.Internal, q.uri
	}
	record := ended.Append(t.record[:0])
	if ended.Kind == tracing.Server {
		record = tracing.AppendAttribute(record, tracing.Method, q.method)
		path, _, _ := bytes.Cut(q.uri, []byte("?"))
		record = tracing.AppendAttribute(record, tracing.Path, path)
		scheme := "http"
		if io.flags&reqHTTPS != 0 {
			scheme = "https"
		}
		record = tracing.AppendAttribute(record, tracing.Scheme, scheme)
		record = appendServer(record, unsafe.Slice((*byte)(io.vars), io.vars_len))
		record = tracing.AppendAttribute(record, tracing.ClientAddress, q.addr)
		record = tracing.AppendAttribute(record, tracing.Protocol, q.proto)
		var digits [20]byte
		if status > 0 {
			record = tracing.AppendAttribute(record, tracing.StatusCode, strconv.AppendInt(digits[:0], int64(status), 10))
		}
		if ended.Failed && status >= 500 {
			record = tracing.AppendAttribute(record, tracing.ErrorType, strconv.AppendInt(digits[:0], int64(status), 10))
		} else if ended.Failed {
			record = tracing.AppendAttribute(record, tracing.ErrorType, "exception")
		}
	}
	if waited := s.queueTime(); waited >= time.Microsecond && io.app >= 0 && !event {
		record = tracing.AppendAttribute(record, tracing.QueueMicros, strconv.FormatInt(waited.Microseconds(), 10))
	}
	record = tracing.AppendAttribute(record, tracing.WorkerID, strconv.Itoa(s.w.id))
	t.record = record
	sender.Send(record, ended.Dropped)
	t.span.Context = tracing.Context{}
}

// appendServer appends what the variables say of the server, as the client has called it, and of the client's program.
func appendServer(record, vars []byte) []byte {
	var host, name, port, agent []byte
	for len(vars) > 0 {
		key, value, rest, err := uwsgi.Next(vars)
		if err != nil {
			break
		}
		vars = rest
		switch string(key) {
		case "HTTP_HOST":
			host = value
		case "SERVER_NAME":
			name = value
		case "SERVER_PORT":
			port = value
		case "HTTP_USER_AGENT":
			agent = value
		}
	}
	if len(host) > 0 {
		name = host
		if at := bytes.LastIndexByte(host, ':'); at > bytes.LastIndexByte(host, ']') {
			name, port = host[:at], host[at+1:]
		}
		name = bytes.Trim(name, "[]")
	}
	record = tracing.AppendAttribute(record, tracing.ServerAddress, name)
	record = tracing.AppendAttribute(record, tracing.ServerPort, port)
	return tracing.AppendAttribute(record, tracing.UserAgent, agent)
}
