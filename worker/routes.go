package worker

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
	"time"

	"envoxyd/protocol/uwsgi"
	"envoxyd/routing"
)

// Rules of the internal routing (package routing) see a request before responders and the application do, and its response
// before that leaves. They are run by the slot, in Go: an answer of theirs does not enter Python.

// routed is what rules know of a request: a slot's, or, while the request is off the core, an errand's.
type routed struct {
	w       *Worker
	request routing.Request
	outside outside
	active  bool   // rules have seen the current request
	vars    []byte // C memory: the variables as rules have changed them
	gzip    bool   // the body is to be compressed when it has been gathered
	logvars int    // how many of Effects.LogVars the log's format knows of
	holder  *slot  // that holds the reactor's lock while it runs the rules; nil: nobody does
}

// run runs the rules of a stage, and does at once what they want to be done at once. The reactor's lock is not held while rules
// wait for Python's, or for another server.
func (r *routed) run(stage routing.Stage) routing.Verdict {
	if !r.w.routes.Waits(stage) || r.holder == nil {
		return r.runNow(stage)
	}
	r.holder.unlockReactor()
	defer r.holder.lockReactor()
	return r.runNow(stage)
}

func (r *routed) runNow(stage routing.Stage) routing.Verdict {
	verdict := r.w.routes.Run(stage, &r.request)
	r.log()
	return verdict
}

// unlockReactor has others work on the reactor while the slot does what may take as long as the application does. The connection is
// in hand.
func (s *slot) unlockReactor() {
	s.entered.Store(max(s.now, s.r.now))
	s.setRuns()
	s.r.mu.Unlock()
}

func (s *slot) lockReactor() {
	s.r.mu.Lock()
	s.entered.Store(0)
}

func newRouted(w *Worker) (*routed, error) {
	vars, err := offHeap(varsRoom(w.spec.Limits.BufferSize))
	if err != nil {
		return nil, err
	}
	r := &routed{w: w, vars: vars}
	r.outside.w = w
	r.request.MaxBlock = len(vars)
	return r, nil
}

// giveRouted returns what the rules know of the slot's request, to be kept with a copy of its variables, and has the slot begin
// with the next request; nil: they have not seen it.
func (s *slot) giveRouted(vars []byte) *routed {
	r := s.routed
	if r == nil || !r.active {
		return nil
	}
	spare, ok := s.w.spareRouted.Get().(*routed)
	if !ok {
		spare = &routed{w: s.w}
		spare.outside.w, spare.request.MaxBlock = s.w, r.request.MaxBlock
	}
	spare.vars, r.vars = r.vars, nil
	r.holder = nil
	s.routed = spare
	r.request.Rebase(vars)
	return r
}

// takeRouted has the slot go on with what giveRouted has returned.
func (s *slot) takeRouted(given *routed) {
	r := s.routed
	if r == nil {
		return
	}
	s.unroute()
	if given != nil {
		given.vars, r.vars = r.vars, nil
		s.w.spareRouted.Put(r)
		s.routed = given
	}
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
	r.outside.reset(s.now)
	if !s.w.routes.Has(routing.StageRequest) {
		return false, false
	}
	r.holder = s
	answered, more = s.routeRequest(cn, p)
	if s.routed == r { // else it is an errand's
		r.holder = nil
	}
	return answered, more
}

func (s *slot) routeRequest(cn *conn, p *parsed) (answered, more bool) {
	r := s.routed
	cn.inHand = true
	s.r.inHand++
	verdict := r.run(routing.StageRequest)
	cn.inHand = false
	s.r.inHand--
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

// finishHolding is finish with the reactor's lock held. Rules of the final stage that wait do so without it.
func (s *slot) finishHolding() {
	if r := s.routed; r != nil {
		r.holder = s
		defer func() { r.holder = nil }()
	}
	s.finish()
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
	s.w.staticServed.Add(1)
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
	s.fileFields, body = appendAnswer(s.fileFields[:0], a, s.w.extra)
	status, fields := a.Status, s.fileFields
	io.status = cUint32(codeOf(status))
	s.fileHead = append(append(append(s.fileHead[:0], status...), "\r\n"...), fields...)
	edited, r := s.fileHead, s.routed
	if seen {
		r.outside.sent = uint64(len(body))
		var other *routing.Answer
		if edited, other = r.edit(codeOf(status), edited, s.request.uri); other != nil {
			return s.answerText(other, false)
		}
	} else {
		edited = editHead(edited, &r.request.Effects)
	}
	status, fields = splitStatus(edited)
	head, result := appendHead(nil, uint32(io.flags), status, fields, true, a.Close)
	io.result |= cUint32(result)
	io.head_len, io.headers = cUint32(len(head)), cUint32(bytes.Count(head, []byte("\r\n"))-2)
	if io.flags&reqNoBody != 0 {
		body = nil
	}
	return head, body
}

func codeOf(status string) int {
	code, _ := strconv.Atoi(status[:min(3, len(status))])
	return code
}

// appendAnswer appends the header fields of an answer, and extra ones; body is what may be sent of its body.
func appendAnswer(fields []byte, a *routing.Answer, extra []byte) (_, body []byte) {
	code := codeOf(a.Status)
	bodiless, sized := code == 204 || code == 304, false
	for _, line := range a.Headers {
		if a.Close && strings.EqualFold(line, "Connection: close") {
			continue // appendHead says it
		}
		length := isField([]byte(line), "Content-Length")
		if length && bodiless {
			continue
		}
		sized = sized || length
		fields = append(append(fields, line...), "\r\n"...)
	}
	if bodiless {
		return append(fields, extra...), nil
	}
	if !sized {
		fields = strconv.AppendInt(append(fields, "Content-Length: "...), int64(len(a.Body)), 10)
		fields = append(fields, "\r\n"...)
	}
	return append(fields, extra...), a.Body
}

// gathered is given the application's whole body; nil: it is sent as it is.
func (s *slot) gathered(body []byte) []byte {
	r := s.routed
	r.store(body)
	if !r.gzip {
		return nil
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(body) // a buffer takes all
	_ = writer.Close()
	return packed.Bytes()
}

// store gives the body of a response to the caches that rules have named.
func (r *routed) store(body []byte) {
	for _, store := range r.request.Effects.Store {
		r.outside.CacheSet(store.Cache, store.Key, body, store.Seconds)
	}
}

// beginRouted applies what the rules have asked for to a request that begins.
func (s *slot) beginRouted() {
	r := s.routed
	if r == nil || !r.active {
		return
	}
	r.outside.start = s.request.start
	effects := &r.request.Effects
	r.logvars = 0
	s.takeLogVars()
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

// takeLogVars makes known to the log what rules have set since the last call.
func (s *slot) takeLogVars() {
	r := s.routed
	for _, v := range r.request.Effects.LogVars[r.logvars:] {
		if uwsgi.Fits(len(v.Name)) && uwsgi.Fits(len(v.Value)) {
			s.logvars = uwsgi.AppendVar(s.logvars, v.Name, v.Value)
		}
	}
	r.logvars = len(r.request.Effects.LogVars)
}

// endRouted runs the rules of the final stage.
func (s *slot) endRouted() {
	r := s.routed
	if r == nil || !r.active {
		return
	}
	if s.w.routes.Has(routing.StageFinal) {
		r.request.Status = int(s.io.status)
		r.outside.sent = uint64(s.io.sent)
		r.run(routing.StageFinal)
	}
	s.takeLogVars()
}

// unlogged tells whether rules have asked for silence about the request.
func (s *slot) unlogged() bool {
	return s.routed != nil && s.routed.active && s.routed.request.Effects.NoLog
}

// log logs what rules have said, and gives the process the name that they want.
func (r *routed) log() {
	effects := &r.request.Effects
	for _, line := range effects.LogLines {
		r.w.logf("%s", line)
	}
	effects.LogLines = effects.LogLines[:0]
	if len(effects.ProcName) > 0 {
		ask("setprocname", arguments(effects.ProcName))
		effects.ProcName = nil
	}
}
