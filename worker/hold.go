package worker

import (
	"bytes"
	"syscall"
	"unsafe"
)

// Responses to requests that a client has sent together leave together: one write for many. They
// are held only while the application is quick, and the watch sends them when it is not.

// mostHeld is how much is held at most, in bytes.
const mostHeld = 16 << 10

var headEnd = []byte("\r\n\r\n")

// holds tells whether the response may wait for the next one.
func (s *slot) holds() bool {
	if len(s.rest) == 0 || !s.response.keep || s.current.inline() || s.r.looped || !s.w.watching() {
		return false
	}
	if s.io.result&(resDelimited|resClose|resFailed|resBroken|resShort) != resDelimited || s.response.sender != nil || s.response.file != nil {
		return false
	}
	t := s.current.listener.transport
	return t.Refuses && t.Frame == nil && int(s.io.out_len) <= mostHeld && s.r.quick.Load() && bytes.Contains(s.rest, headEnd)
}

// hold keeps what is in the output buffer for later. False: there is enough.
func (s *slot) hold() bool {
	if !s.holds() {
		return false
	}
	s.heldLock.Lock()
	defer s.heldLock.Unlock()
	if !s.holding.Load() {
		s.held = s.held[:0]
	}
	if len(s.held)+int(s.io.out_len) > mostHeld {
		return false
	}
	s.held = append(s.held, unsafe.Slice((*byte)(s.io.out), s.io.out_len)...)
	s.io.out_len = 0
	s.heldFD = s.current.fd
	s.holding.Store(true)
	return true
}

// takeHeld returns what is held, to be sent before anything else; it is valid until hold is called.
func (s *slot) takeHeld() []byte {
	if !s.holding.Load() {
		return nil
	}
	s.heldLock.Lock()
	defer s.heldLock.Unlock()
	s.holding.Store(false)
	held := s.held
	s.held = s.held[:0]
	return held
}

// flushHeld sends what is held as far as the client takes it within a moment. What it does not
// take of responses behind which the connection ends is lost, as it would be to a reset.
func (s *slot) flushHeld() {
	if !s.holding.Load() {
		return
	}
	s.heldLock.Lock()
	defer s.heldLock.Unlock()
	for s.holding.Load() {
		s.sendHeld()
		if s.holding.Load() && !writable(s.heldFD, shortWait) {
			s.holding.Store(false)
		}
	}
}

// tendHeld sends what has been held for too long.
func (s *slot) tendHeld() {
	if s.holding.Load() && s.heldLock.TryLock() {
		defer s.heldLock.Unlock()
		if s.holding.Load() {
			s.sendHeld()
		}
	}
}

// sendHeld sends once. The lock is held.
func (s *slot) sendHeld() {
	n, errno := writev(s.heldFD, s.held, nil)
	switch errno {
	case 0:
		s.held = s.held[:copy(s.held, s.held[n:])]
		s.holding.Store(len(s.held) > 0)
	case syscall.EAGAIN, syscall.EINTR:
	default: // the client has left: whoever writes next is told
		s.holding.Store(false)
	}
}
