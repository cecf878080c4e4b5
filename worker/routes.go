package worker

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"time"

	"envoxyd/protocol/uwsgi"
	"envoxyd/routing"
)

// Rules of the internal routing (package routing) see a request before responders and the application do, and its response
// before that leaves. They are run by the slot, in Go: an answer of theirs does not enter Python.

// routed is a slot's part in it.
type routed struct {
	request routing.Request
	outside outside
	active  bool   // rules have seen the current request
	vars    []byte // C memory: the variables as rules have changed them
	gzip    bool   // the body is to be compressed when it has been gathered
}

func newRouted(s *slot) (*routed, error) {
	vars, err := offHeap(varsRoom(s.w.spec.Limits.BufferSize))
	if err != nil {
		return nil, err
	}
	r := &routed{vars: vars}
	r.outside.s = s
	r.request.MaxBlock = len(vars)
	return r, nil
}

// route has the rules see a new request. answered: it has been, and more tells whether a next one, which was sent along with it, is
// in io. The reactor's lock is held.
func (s *slot) route(cn *conn, p *parsed) (answered, more bool) {
	r := s.routed
	if r == nil {
		return false, false
	}
	s.unroute()
	if cn.listener.event || p.Service {
		return false, false
	}
	r.active = true
	r.request.Reset(p.Vars, &r.outside)
	s.now = max(s.now, s.r.now)
	if !s.w.routes.Has(routing.StageRequest) {
		return false, false
	}
	verdict := s.w.routes.Run(routing.StageRequest, &r.request)
	s.logRoutes()
	if r.request.Changed() && !s.takeChanges(cn, p) {
		return true, false
	}
	effects := &r.request.Effects
	if effects.Modifier1 >= 0 {
		p.Modifier1 = byte(effects.Modifier1)
	}
	if effects.Modifier2 >= 0 {
		p.Modifier2 = byte(effects.Modifier2)
	}
	return s.obey(cn, p, verdict)
}

// unroute: the rules have not seen the request that comes.
func (s *slot) unroute() {
	if s.routed != nil {
		s.routed.active, s.routed.gzip = false, false
	}
}

// takeChanges makes the variables that rules have changed the request's. False: they cannot be, and the request was refused.
func (s *slot) takeChanges(cn *conn, p *parsed) bool {
	r := s.routed
	block := r.request.Block()
	vars := r.vars[:copy(r.vars, block)]
	r.request.Rebase(vars)
	again := parsed{}
	if err := s.scan(vars, &again); err != nil {
		s.flushHeld()
		s.complain(cn, p.ID, err)
		return false
	}
	const fromVars = reqHTTPS | reqNoBody | reqHTTP10
	p.Vars, p.flags = vars, p.flags&^fromVars|again.flags&fromVars
	return true
}

// obey does what the rules of the request stage have decided.
func (s *slot) obey(cn *conn, p *parsed, verdict routing.Verdict) (answered, more bool) {
	switch verdict.Kind {
	case routing.Break:
		s.beginAnswer(cn, p)
		s.answer(verdict.Answer, true)
	case routing.Close:
		s.beginAnswer(cn, p)
		s.hangUp()
	case routing.SendFile:
		if !s.routeFile(cn, p, verdict.File) {
			s.beginAnswer(cn, p)
			s.answer(&notFound, true)
		}
	case routing.Forward:
		s.forward(cn, p, verdict.Proxy)
		return true, false
	default:
		return false, false
	}
	s.finish()
	return true, s.settle()
}

var notFound = routing.Answer{Status: "404 Not Found", Headers: []string{"Content-Type: text/plain"}, Body: []byte("Not Found")}

// beginAnswer begins a request that needs no application.
func (s *slot) beginAnswer(cn *conn, p *parsed) {
	s.begin(cn, p, nil)
	s.io.app, s.io.result, s.io.switches = -1, 0, 0
	s.line.Routed.Store(s.line.Routed.Load() + 1)
}

// hangUp sends what rules want to be sent as it is, and has the connection end.
func (s *slot) hangUp() {
	s.io.status = 500
	if raw := s.routed.request.Effects.Raw; len(raw) > 0 {
		_ = s.sendPair(raw, nil, sendLast)
	}
	s.io.result |= resBroken
}

// answer sends an answer of the rules'. seen: the rules of the later stages are to see it.
func (s *slot) answer(a *routing.Answer, seen bool) {
	text, body := s.answerText(a, seen)
	s.io.sent = cUint64(len(body))
	if s.sendPair(text, body, sendLast) != writeOK {
		s.io.result |= resBroken
	}
}

// answerText makes the head of an answer, and notes in io what becomes of the connection.
func (s *slot) answerText(a *routing.Answer, seen bool) (text, body []byte) {
	io := s.io
	code, _ := strconv.Atoi(a.Status[:min(3, len(a.Status))])
	io.status = cUint32(code)
	fields := s.fileFields[:0]
	sized := false
	for _, line := range a.Headers {
		if a.Close && bytes.EqualFold([]byte(line), []byte("Connection: close")) {
			continue // appendHead says it
		}
		sized = sized || len(line) > 15 && bytes.EqualFold([]byte(line[:15]), []byte("content-length:"))
		fields = append(append(fields, line...), "\r\n"...)
	}
	body = a.Body
	if !sized && code != 204 && code != 304 {
		fields = strconv.AppendInt(append(fields, "Content-Length: "...), int64(len(body)), 10)
		fields = append(fields, "\r\n"...)
	}
	fields = append(fields, s.w.extra...)
	s.fileFields = fields
	status := a.Status
	if seen {
		head := append(append(append(s.fileHead[:0], status...), "\r\n"...), fields...)
		edited, other := s.routeText(code, head)
		if other != nil {
			return s.answerText(other, false)
		}
		status, fields = splitStatus(edited)
	}
	head, result := appendHead(nil, uint32(io.flags), status, fields, true, a.Close)
	io.result |= cUint32(result)
	io.head_len, io.headers = cUint32(len(head)), cUint32(bytes.Count(head, []byte("\r\n"))-2)
	if io.flags&reqNoBody != 0 {
		body = nil
	}
	return head, body
}

func splitStatus(head []byte) (status string, fields []byte) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	return string(line), fields
}

// routeText has the rules of the error and response stages see a head, of which the first line begins with the status, and
// returns it as they have changed it; or another answer.
func (s *slot) routeText(status int, head []byte) (edited []byte, other *routing.Answer) {
	r := s.routed
	r.request.Status = status
	for _, stage := range []routing.Stage{routing.StageError, routing.StageResponse} {
		if !s.w.routes.Has(stage) {
			continue
		}
		verdict := s.w.routes.Run(stage, &r.request)
		s.logRoutes()
		switch verdict.Kind {
		case routing.Break:
			return nil, verdict.Answer
		case routing.Close, routing.SendFile, routing.Forward:
			s.w.logf("a rule for responses can change or replace them, but send no file, ask no other server and hang up on nobody: it had no effect on %s", s.request.uri)
		}
	}
	return editHead(head, &r.request.Effects), nil
}

// editHead applies what rules have asked for to a head without its last line.
func editHead(head []byte, e *routing.Effects) []byte {
	if len(e.AddHeaders) == 0 && len(e.RemoveHeaders) == 0 && e.ClearHeaders == "" {
		return head
	}
	edited := make([]byte, 0, len(head)+256)
	first := true
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		switch {
		case first && e.ClearHeaders != "":
			version, _, _ := bytes.Cut(line, []byte(" "))
			if bytes.HasPrefix(version, []byte("HTTP/")) || string(version) == "Status:" {
				edited = append(append(edited, version...), ' ')
			}
			edited = append(append(edited, e.ClearHeaders...), "\r\n"...)
			first = false
			continue
		case !first && (e.ClearHeaders != "" || removed(line, e.RemoveHeaders)):
			continue
		}
		first = false
		edited = append(append(edited, line...), "\r\n"...)
	}
	for _, line := range e.AddHeaders {
		edited = append(append(edited, line...), "\r\n"...)
	}
	return edited
}

func removed(line []byte, names [][]byte) bool {
	for _, name := range names {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], name) {
			return true
		}
	}
	return false
}

// routeHead has the rules see the head of the application's response, in the output buffer, and returns route….
func (s *slot) routeHead() int {
	r, io := s.routed, s.io
	head := append(s.fileHead[:0], s.output()...)
	edited, other := s.routeText(int(io.status), head)
	s.fileHead = head
	effects := &r.request.Effects
	if other != nil {
		io.sent = 0
		text, body := s.answerText(other, false)
		io.sent = cUint64(len(body))
		setOut(io, append(text, body...))
		return routeAnswered
	}
	if effects.RawSent || effects.NoHeaders {
		io.headers, io.head_len = 0, 0
		io.result |= resClose
		setOut(io, effects.Raw)
		return routeBare
	}
	if effects.ClearHeaders != "" {
		if code, err := strconv.Atoi(effects.ClearHeaders[:min(3, len(effects.ClearHeaders))]); err == nil {
			io.status = cUint32(code)
		}
	}
	outcome := routeGo
	if effects.Chunked {
		outcome |= routeChunk
	}
	lower := bytes.ToLower(edited)
	sized := bytes.Contains(lower, []byte("\r\ncontent-length:"))
	coded := bytes.Contains(lower, []byte("\r\ncontent-encoding:")) || bytes.Contains(lower, []byte("\r\ntransfer-encoding:"))
	r.gzip = effects.Gzip && !coded && io.flags&reqNoBody == 0
	if r.gzip {
		edited = append(dropField(edited, "Content-Length"), "Content-Encoding: gzip\r\n"...)
	} else if effects.ForceLength {
		edited = dropField(edited, "Content-Length")
	}
	if r.gzip || effects.ForceLength || effects.FixLength && !sized && !coded || len(effects.Store) > 0 && io.status == 200 {
		outcome |= routeGather
	}
	io.headers = cUint32(bytes.Count(edited, []byte("\r\n")) - 1)
	setOut(io, edited)
	return outcome
}

func dropField(head []byte, name string) []byte {
	return editHead(head, &routing.Effects{RemoveHeaders: [][]byte{[]byte(name)}})
}

// gathered is given the application's whole body; nil: it is sent as it is.
func (s *slot) gathered(body []byte) []byte {
	r := s.routed
	for _, store := range r.request.Effects.Store {
		r.outside.CacheSet(store.Cache, store.Key, body, store.Seconds)
	}
	if !r.gzip {
		return nil
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(body) // a buffer takes all
	_ = writer.Close()
	return packed.Bytes()
}

// beginRouted applies what the rules have asked for to a request that begins.
func (s *slot) beginRouted() {
	r := s.routed
	if r == nil || !r.active {
		return
	}
	effects := &r.request.Effects
	for _, v := range effects.LogVars {
		if uwsgi.Fits(len(v.Name)) && uwsgi.Fits(len(v.Value)) {
			s.logvars = uwsgi.AppendVar(s.logvars, v.Name, v.Value)
		}
	}
	if effects.HarakiriSeconds > 0 {
		s.line.Deadline.Store(s.now + int64(effects.HarakiriSeconds)*int64(time.Second))
	}
	if s.w.routes.Has(routing.StageError) || s.w.routes.Has(routing.StageResponse) || changesResponse(effects) {
		s.io.flags |= reqRouted
	}
}

func changesResponse(e *routing.Effects) bool {
	return len(e.AddHeaders)+len(e.RemoveHeaders)+len(e.Raw)+len(e.Store) > 0 || e.ClearHeaders != "" || e.NoHeaders || e.RawSent ||
		e.Chunked || e.Gzip || e.FixLength || e.ForceLength
}

// endRouted runs the rules of the final stage.
func (s *slot) endRouted() {
	r := s.routed
	if r == nil || !r.active {
		return
	}
	if s.w.routes.Has(routing.StageFinal) {
		r.request.Status = int(s.io.status)
		s.w.routes.Run(routing.StageFinal, &r.request)
		s.logRoutes()
	}
}

// unlogged tells whether rules have asked for silence about the request.
func (s *slot) unlogged() bool {
	return s.routed != nil && s.routed.active && s.routed.request.Effects.NoLog
}

// logRoutes logs what rules have said.
func (s *slot) logRoutes() {
	effects := &s.routed.request.Effects
	for _, line := range effects.LogLines {
		s.w.logf("%s", line)
	}
	effects.LogLines = effects.LogLines[:0]
}
