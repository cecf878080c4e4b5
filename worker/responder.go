package worker

// responder answers requests that need no application, before Python is entered.
type responder interface {
	// wants tells, at no cost to speak of, whether the request may be one of its own.
	wants(q *info) bool
	// respond begins the request, sends the answer and leaves the outcome in io. False: the request
	// is not one of its own; nothing was done.
	respond(s *slot, cn *conn, p *parsed) bool
}

// withoutApplication has the rules, and then the responders, answer a new request. more: as with respond.
func (s *slot) withoutApplication(cn *conn, p *parsed) (answered, more bool) {
	s.trace(cn, p)
	if answered, more = s.route(cn, p); answered {
		return answered, more
	}
	return s.respond(cn, p)
}

// respond has the first responder that knows an answer give it. more: a next request, which was
// sent along with this one, is in io.
func (s *slot) respond(cn *conn, p *parsed) (answered, more bool) {
	if cn.listener.event || p.Service {
		return false, false
	}
	for _, one := range s.w.responders {
		if one.wants(&s.request) && one.respond(s, cn, p) {
			s.finishHolding()
			return true, s.settle()
		}
	}
	if s.w.scripts.wants(p) {
		s.runScript(cn, p)
		return true, false
	}
	return false, false
}
