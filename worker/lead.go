package worker

import (
	"bytes"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
)

// While the application does not block, one slot leads and serves alone: no switch between threads,
// nobody to contend with for Python's lock. When it is in the application for long, another slot
// takes the lead, so that no request waits for a particular thread.
const (
	// leadFor is how long the leader may be in the application before another slot takes the lead.
	leadFor = int64(200 * time.Microsecond)
	// runFor is the same for a leader that runs, or would if it had a processor: it has Python's lock,
	// which it does not give away before (sys.getswitchinterval).
	runFor = int64(5 * time.Millisecond)
	// slowFrom: where most requests take that long, another slot leads at once.
	slowFrom = int64(300 * time.Microsecond)
	// quickBelow: where most requests take no longer, a response may wait for the next one.
	quickBelow = int64(100 * time.Microsecond)
)

// absence is what there is to know about a leader that is not at the reactor.
type absence struct {
	inApp   bool  // it is in the application, not about to come back
	lasted  int64 // for how long, in nanoseconds
	runs    bool  // it does not wait for anything but a processor
	typical int64 // how long most requests take
	queued  int   // slots that wait for Python's lock with a request
	answers bool  // there are requests that need no Python
}

// leaves tells whether another slot is to lead. While one waits for Python's lock, one more would
// only wait behind it, unless it finds requests that it can answer by itself.
func (a absence) leaves() bool {
	if !a.inApp || a.queued > 0 && !a.answers {
		return false
	}
	return a.typical > slowFrom || a.lasted > runFor || a.lasted > leadFor && (!a.runs || a.answers)
}

// absence of the leader at the time now. The lock is held.
func (r *reactor) absence(now int64) absence {
	since := r.leader.entered.Load()
	a := absence{inApp: since != 0, lasted: now - since, typical: r.typical, queued: r.queued(), answers: r.answers}
	if a.queued == 0 && !a.answers && a.typical <= slowFrom && a.lasted > leadFor && a.lasted <= runFor { // else it does not matter
		a.runs = r.leader.onProcessor()
	}
	return a
}

// queued is how many slots wait for Python's lock with a request.
func (r *reactor) queued() (n int) {
	for _, s := range r.slots {
		if s.entered.Load() != 0 && !s.runs() {
			n++
		}
	}
	return n
}

// leads tells whether the slot may work on the reactor, and makes it the leader then.
func (r *reactor) leads(s *slot) bool {
	switch {
	case r.leader == s:
		return true
	case r.looped: // no other slot's thread is at the reactor
		r.leader = s
		return true
	case r.leader != nil && (r.polling || !r.absence(monotime.Now()).leaves()):
		return false
	}
	r.leader = s
	return true
}

// goesIn has another slot lead at once where requests are known to take long.
func (r *reactor) goesIn(s *slot) {
	if r.typical > slowFrom && r.leader == s && len(r.parked) > 0 {
		r.giveLead()
	}
}

// giveLead has the slot that was parked last lead.
func (r *reactor) giveLead() {
	next := r.parked[len(r.parked)-1]
	r.leader = next
	r.unpark(next)
}

// park has the slot's thread wait for its turn. True: a signal came first.
func (r *reactor) park(s *slot) (interrupted bool) {
	r.parked = append(r.parked, s)
	r.mu.Unlock()
	opened := s.gate.wait()
	r.mu.Lock()
	r.unlist(s)
	return !opened && s.index == 0
}

// unpark lets the slot's thread go on, if it is parked.
func (r *reactor) unpark(s *slot) {
	if r.unlist(s) {
		s.gate.open()
	}
}

func (r *reactor) unlist(s *slot) bool {
	for i, other := range r.parked {
		if other == s {
			r.parked = append(r.parked[:i], r.parked[i+1:]...)
			return true
		}
	}
	return false
}

// end lets all slots go.
func (r *reactor) end() {
	r.ended = true
	for len(r.parked) > 0 {
		r.unpark(r.parked[0])
	}
}

// learn adjusts what is known about the time that requests take: step by step towards the median,
// which a few slow requests do not move.
func (r *reactor) learn(spent int64) {
	if spent > r.typical {
		r.typical += r.typical>>4 + 1000
	} else {
		r.typical -= r.typical >> 4
	}
	if quick := r.typical < quickBelow; quick != r.quick.Load() {
		r.quick.Store(quick)
	}
}

// onProcessor tells whether the slot's thread runs or is about to.
func (s *slot) onProcessor() bool {
	var text [128]byte
	fd, err := unix.Open(s.stat, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	n, _ := unix.Read(fd, text[:])
	_ = unix.Close(fd)
	name := bytes.LastIndexByte(text[:max(n, 0)], ')') // "TID (NAME) STATE ...", and the name may hold anything
	return name > 0 && name+2 < n && text[name+2] == 'R'
}

// runs tells whether the slot's thread has Python's lock, or had it since it came with its request.
func (s *slot) runs() bool { return (*atomic.Uint32)(unsafe.Pointer(&s.io.running)).Load() != 0 }

// setRuns says that it waits for nobody's lock.
func (s *slot) setRuns() { (*atomic.Uint32)(unsafe.Pointer(&s.io.running)).Store(1) }

// setQueued says that it has a request, but not Python's lock yet.
func (s *slot) setQueued() { (*atomic.Uint32)(unsafe.Pointer(&s.io.running)).Store(0) }
