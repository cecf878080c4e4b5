package worker

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
)

// sweep drops connections that have been idle for too long; checking now and then is enough.
func (r *reactor) sweep() {
	if r.pausedTo > 0 && r.now > r.pausedTo && r.w.phase.Load() == serving {
		r.startAccepting()
	}
	if r.now-r.swept < int64(250*time.Millisecond) {
		return
	}
	r.swept = r.now
	for _, cn := range r.conns {
		if cn != nil && !cn.inHand && r.now-cn.lastUse > int64(cn.listener.idle) && !r.pending(cn) {
			r.dropIdle(cn)
		}
	}
}

// pending tells whether the connection has an event that was fetched but not handled yet.
func (r *reactor) pending(cn *conn) bool {
	if cn.listed {
		return true
	}
	for _, e := range r.events[r.event:r.nevents] {
		if e.Pad == cn.tag() && int(e.Fd) == cn.index {
			return true
		}
	}
	return false
}

// lastCall returns connections that nobody else would take from a worker that
// leaves: those under way between workers, and on a stop those that wait to be accepted.
func (r *reactor) lastCall(phase int32) *conn {
	if r.accepting && phase == stopping {
		for _, l := range r.w.ours {
			if cn := r.accept(l); cn != nil {
				return cn
			}
		}
	}
	if r.w.spec.HandoverFD[0] >= 0 {
		return r.takeHandover()
	}
	return nil
}

// drained does what is left to do once the worker is leaving, and tells
// whether that was all.
func (r *reactor) drained(phase int32) bool {
	if !r.leaving { // what has arrived by now is still served: check once more
		r.leaving = true
		r.stopAccepting()
		return false
	}
	late := r.now > r.w.drainFor.Load()
	for _, cn := range r.conns {
		if cn != nil && !cn.inHand && !cn.listed && (late || phase == stopping || cn.listener.event) {
			r.dropIdle(cn)
		}
	}
	if r.kept > 0 || r.inHand > 0 || len(r.again) > 0 {
		return false
	}
	return (r.w.receiving.Load()+r.w.carrying.Load() == 0 || late) && r.w.sending.Load() == 0 && r.w.errands.Load() == 0 && r.w.ready.len() == 0
}

var notRead = []byte{gatewayspec.Unread}

// dropIdle drops a connection without a request. On one of its own the gateway cannot send from
// now on; what it has just sent it gives to another worker.
func (r *reactor) dropIdle(cn *conn) {
	if cn.listener.event {
		_ = unix.Shutdown(cn.fd, unix.SHUT_RD)
		if waits(cn) {
			_, _ = syscall.Write(cn.fd, notRead) // EPIPE: the gateway has ended
		}
	}
	r.drop(cn)
}

// waits tells whether there is something to read.
func waits(cn *conn) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(cn.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n > 0
}
