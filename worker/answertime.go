package worker

import (
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/transports/http"
)

// A client of --http is answered with 504 when the application has not begun to answer within
// --http-timeout. The application goes on; what it answers then has nobody to go to.

// Who answers a request: the slot, or the watch in its place.
const (
	unclaimed int32 = iota
	bySlot
	byWatch
)

// claims tells whether the slot may answer.
func (s *slot) claims() bool {
	return s.current.listener.answer == 0 || s.claim.Load() == bySlot || s.claim.CompareAndSwap(unclaimed, bySlot)
}

// tooLate answers in the place of an application that takes too long. The reactor's lock is held.
func (s *slot) tooLate(now int64) {
	cn, since := s.current, s.entered.Load()
	if cn == nil || since == 0 || cn.listener.answer == 0 || now-since < int64(cn.listener.answer) || !s.claim.CompareAndSwap(unclaimed, byWatch) {
		return
	}
	s.w.logf("the application has not begun to answer %q of %s within %v (http-timeout): 504", s.request.uri, s.request.addr, cn.listener.answer)
	s.w.open(cn)
	_, _ = syscall.Write(cn.fd, cn.listener.refusal(s.response.id, http.Refusal(504, ""))) // a client that has left needs no answer
	_ = unix.Shutdown(cn.fd, unix.SHUT_RDWR)
}
