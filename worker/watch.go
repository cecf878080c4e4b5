package worker

import (
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/snooze"
)

// Slots that are busy with the application cannot look after their reactor. The watch
// does so for them: it has a slot that waits for its turn take the lead; where there is
// none it passes connections with something to read on to idle workers.
const (
	busyFor   = int64(time.Millisecond) // all slots, before their connections are passed on
	leadTick  = 200 * time.Microsecond  // between looks, while a slot has to be given the lead now and then
	passTick  = 500 * time.Microsecond  // between looks, while connections have to be passed on now and then
	pollTime  = 3 * time.Millisecond    // otherwise: each look costs some 5 µs
	tickFor   = int64(time.Second)      // after there was something
	parkAfter = 100                     // looks without a busy slot after which the watch sleeps until its bell rings
)

// startWatch starts the watch where there is another thread or worker to do the work, or a limit to it.
func (w *Worker) startWatch() {
	w.bell = snooze.New()
	limited := slices.ContainsFunc(w.listeners, func(l *listener) bool { return l.answer > 0 })
	others := !w.reactor.looped && (w.spec.HandoverFD[0] >= 0 || len(w.reactor.slots) > 1)
	if others || limited {
		w.watching()
	}
}

// watching makes sure that the watch runs.
func (w *Worker) watching() bool {
	w.watchStart.Do(func() { go w.runWatch() }) // lives as long as the process
	return true
}

func (w *Worker) runWatch() {
	r := w.reactor
	quiet, tick, last := 0, pollTime, int64(0)
	for {
		if quiet > parkAfter {
			w.bell.Sleep(nil, r.inApplication)
			quiet = 0
		}
		if monotime.Now()-last > tickFor {
			tick = pollTime
		}
		nap(tick)
		runtime.Gosched() // see slot.pause
		quiet++
		if r.inApplication() {
			quiet = 0
			now := monotime.Now()
			if next := r.tend(now); next > 0 {
				tick, last = next, now
			}
		}
	}
}

// nap sleeps in the kernel: a timer of Go's would wake three threads for it.
func nap(t time.Duration) {
	pause := unix.NsecToTimespec(int64(t))
	_, _, _ = syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0) // EINTR: the nap was a little shorter
}

// inApplication tells whether a slot is in the application.
func (r *reactor) inApplication() bool {
	for _, s := range r.slots {
		if s.entered.Load() != 0 {
			return true
		}
	}
	return false
}

// tend does what slots in the application cannot. It returns how soon that may be necessary again;
// 0: not soon.
func (r *reactor) tend(now int64) time.Duration {
	long, allLong := false, true
	for _, s := range r.slots {
		since := s.entered.Load()
		if since != 0 && now-since > leadFor {
			long = true
			s.tendHeld()
		}
		allLong = allLong && since != 0 && now-since > busyFor
	}
	if !long {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		s.tooLate(now)
	}
	if r.looped || r.polling || r.leader == nil || r.ended {
		return 0
	}
	if len(r.parked) > 0 {
		if !r.absence(now).leaves() {
			return 0
		}
		r.giveLead()
		if r.typical > slowFrom { // slots do it themselves as they enter the application
			return 0
		}
		return leadTick
	}
	if allLong && r.passOn(r.w.board.IdleElsewhere(r.slots[0].line)) {
		return passTick
	}
	return 0
}
