package worker

// Where rules, files or programs answer requests without Python, a slot leads even while another one waits for Python's lock. A
// request for the application that it finds is postponed then: it would only wait, too, and with it all that needs no Python.

const (
	// mostPostponed bounds the memory that they take: what one read has brought, each.
	mostPostponed = 256
	// postponedTick is how soon the leader looks whether Python's lock is asked for no more, in milliseconds. A slot that comes back
	// from the application takes what is postponed at once.
	postponedTick = 1
)

// postpones tells whether a request for the application is to wait. The reactor's lock is held, as for all of this.
func (s *slot) postpones(cn *conn) bool {
	return s.r.answers && len(s.r.postponed) < mostPostponed && !cn.listener.event && s.r.queued() > 0
}

// postpone keeps a request that rules have seen until a slot has time for it. q has its body, and what was sent behind it.
func (s *slot) postpone(cn *conn, p *parsed, q *request) {
	s.flushHeld()
	q.conn, q.parsed, q.postponed, q.since = cn, *p, true, s.arrived
	q.parsed.Vars = append([]byte(nil), p.Vars...)
	q.parsed.body = nil
	q.routed, q.span = s.giveRouted(q.parsed.Vars), s.takeSpan()
	s.rest = nil
	cn.inHand = true
	s.r.inHand++
	s.r.postponed = append(s.r.postponed, q)
}

// takePostponed returns the request that has waited the longest; nil: none waits.
func (r *reactor) takePostponed() *request {
	if len(r.postponed) == 0 {
		return nil
	}
	q := r.postponed[0]
	r.postponed[0] = nil
	r.postponed = r.postponed[1:]
	q.conn.inHand = false
	r.inHand--
	return q
}

// recall has the slot know of a postponed request what it knew then.
func (s *slot) recall(q *request) {
	s.takeRouted(q.routed)
	s.putSpan(&q.span)
	if s.routed != nil && q.routed != nil {
		q.routed.request.Rebase(s.parsed.Vars)
	}
}

// othersShould tells whether connections are to be passed on to other workers: here the application is waited for, and there is one
// with nothing to do.
func (r *reactor) othersShould() bool {
	return r.answers && r.w.spec.HandoverFD[1] >= 0 && r.queued() > 0 && r.w.board.IdleInOthers(r.w.row)
}
