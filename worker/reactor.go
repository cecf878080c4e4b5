package worker

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/eventfd"
	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/routing"
)

// acceptPause is how long a reactor without free descriptors leaves new connections to others.
const acceptPause = 100 * time.Millisecond

// hotAccepts is how often in a row the listener that has just been served is
// accepted from without asking epoll about all other descriptors.
const hotAccepts = 16

// What an epoll event is about: the lower bits of EpollEvent.Pad. The others are the serial number of a connection.
const (
	tagConn = iota
	tagListener
	tagWake
	tagReady
	tagHandover
	tagSignal
	tagQueue // of uwsgi signals
	tagDeath
	tagClock
	tagBits = 8
)

// about tells what an event is about.
func about(e *unix.EpollEvent) int32 { return e.Pad & (1<<tagBits - 1) }

// reactor owns the worker's epoll set and its connections. Its slots take turns in leading it: the
// leader waits for events, reads, and goes to the application with the first request that is whole.
type reactor struct {
	w      *Worker
	slots  []*slot
	looped bool // one thread runs all slots: a loop of Python's

	mu      sync.Mutex // held by who works on the reactor; not while waiting for events
	leader  *slot
	polling bool        // the leader waits for events, without mu
	parked  []*slot     // those that wait for their turn; the last one to come is the first to go
	typical int64       // how long most requests take, in nanoseconds
	inHand  int         // requests
	quick   atomic.Bool // typical is short
	ended   bool        // there will be nothing more to do

	answers   bool       // there are requests that need no Python, and several slots
	postponed []*request // those that wait for Python's lock, while a slot answers others

	epoll   int
	wakeFD  int
	clock   clock               // of a loop
	events  [64]unix.EpollEvent // the leader's while it polls
	nevents int
	event   int
	again   []*conn // connections of which no event will tell that there is something to read
	round   int     // of them, those that have their turn before events are asked for again

	conns  []*conn // kept connections; nil where a hole is
	holes  []int
	free   []*conn
	kept   int
	serial int32 // of the connection that was put into the table last

	hot              *listener
	hotLeft          int
	listenersDrained bool  // the listener that was hot has nothing more, and no connection is kept
	accepted         bool  // a connection, since turned
	turned           int64 // when the worker last went to the end of the listeners' queues
	accepting        bool  // the listeners are in the epoll set
	suspended        bool  // they are not, because the worker is paused
	leaving          bool  // they never will be again
	pausedTo         int64
	starved          bool // descriptors, or memory for them, had run out when last asked for
	signalled        bool // Python's signal handlers are to be run, by the first slot
	swept            int64
	now              int64 // by the monotonic clock, in nanoseconds
	fetchedAt        int64 // when the kernel last told of events, by the same clock
	unasked          int64 // how long it had not been asked by then, in nanoseconds

	lastAddr     netip.Addr
	lastAddrText string
}

func newReactor(w *Worker, io []coreIO) (*reactor, error) {
	r := &reactor{w: w, looped: w.spec.Loop != nil, clock: clock{fd: -1}, fetchedAt: monotime.Now()}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if r.wakeFD, err = eventfd.New(); err != nil {
		return nil, err
	}
	for fd, tag := range map[int]int32{r.wakeFD: tagWake, w.wakeup[0]: tagSignal, w.ready.fd: tagReady} {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Pad: tag}
		if errno := epollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); errno != 0 {
			return nil, errno
		}
	}
	if w.spec.DeathsFD >= 0 { // EPOLLET: nobody reads, so every worker sees every death
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Pad: tagDeath}
		if errno := epollCtl(r.epoll, unix.EPOLL_CTL_ADD, w.spec.DeathsFD, &event); errno != 0 {
			return nil, errno
		}
	}
	if errno := r.watchHandover(); errno != 0 {
		return nil, errno
	}
	if r.looped {
		if err = r.clock.start(r.epoll); err != nil {
			return nil, err
		}
	}
	r.answers = !r.looped && len(io) > 1 && (w.routes.Has(routing.StageRequest) || len(w.responders) > 0 || w.scripts != nil)
	r.startAccepting()
	for i := range io {
		s, err := newSlot(r, i, &io[i])
		if err != nil {
			return nil, err
		}
		r.slots = append(r.slots, s)
	}
	return r, nil
}

// run has the slot work on the reactor until it has a request, or there is something else for its
// thread to do.
func (r *reactor) run(s *slot, effort effort) int {
	if s.settle() {
		return s.enter()
	}
	for {
		switch {
		case r.signalled && (s.index == 0 || r.looped):
			r.signalled = false
			return nextSignal
		case r.ended:
			s.line.State.Store(shm.Absent)
			return nextStop
		case !r.leads(s):
			if q := r.takePostponed(); q != nil {
				if s.serve(q) {
					return s.enter()
				}
				continue
			}
			if effort != stepWait {
				return nextIdle
			}
			if interrupted := r.park(s); interrupted {
				return nextSignal
			}
			continue
		}
		if len(r.postponed) > 0 && r.queued() == 0 {
			if s.serve(r.takePostponed()) {
				return s.enter()
			}
			continue
		}
		if q := r.w.ready.take(); q != nil {
			if s.serve(q) {
				return s.enter()
			}
			continue
		}
		if r.hot != nil {
			if r.tryHot(s) {
				return s.enter()
			}
			continue
		}
		if r.round > 0 {
			if cn := r.nextAgain(); cn != nil && s.receive(cn) {
				return s.enter()
			}
			continue
		}
		if r.event < r.nevents {
			e := r.events[r.event]
			r.event++
			if r.handle(s, &e) {
				return s.enter()
			}
			if s.handling {
				return s.enterSignal()
			}
			continue
		}
		if paused := r.w.paused.Load(); paused != r.suspended {
			r.suspend(paused)
		}
		if phase := r.w.phase.Load(); phase != serving {
			if cn := r.lastCall(phase); cn != nil {
				if s.receive(cn) {
					return s.enter()
				}
				continue
			}
			if r.drained(phase) {
				r.end()
				continue
			}
		}
		r.round = len(r.again)
		if r.round == 0 && effort == stepKnown {
			r.idle()
			return nextIdle
		}
		if some := r.wait(effort == stepWait && r.round == 0); !some && effort != stepWait && r.round == 0 {
			r.idle()
			return nextIdle
		}
	}
}

func (r *reactor) handle(s *slot, e *unix.EpollEvent) bool {
	// What another worker has passed on stays here, or two that are busy would pass it to and fro.
	tag := about(e)
	if (tag == tagConn || tag == tagListener) && r.othersShould() {
		r.passSwallowed(e)
		return false
	}
	switch tag {
	case tagConn:
		cn := r.connOf(e)
		if cn == nil {
			return false
		}
		cn.noteEnd(e)
		if cn.inHand {
			cn.again = true
			return false
		}
		return s.receive(cn)
	case tagListener:
		if !r.accepting {
			return false
		}
		l := r.w.listeners[e.Fd]
		cn := r.accept(l)
		if cn == nil {
			return false
		}
		r.hot, r.hotLeft = l, hotAccepts
		return s.receive(cn)
	case tagHandover:
		if cn := r.takeHandover(); cn != nil {
			return s.receive(cn)
		}
	case tagQueue:
		s.takeSignal(int(e.Fd))
	case tagWake:
		eventfd.Clear(r.wakeFD)
	case tagDeath:
		r.lookAgain()
	case tagClock:
		r.clock.clear()
	case tagReady:
		r.w.ready.clear()
	case tagSignal:
		var numbers [64]byte
		_, _ = syscall.Read(r.w.wakeup[0], numbers[:]) // EAGAIN: read before
		r.signalled = true
		if s.index != 0 {
			r.unpark(r.slots[0])
		}
	}
	return false
}

func (r *reactor) tryHot(s *slot) bool {
	l := r.hot
	if r.hotLeft--; r.hotLeft <= 0 || r.w.phase.Load() != serving {
		r.hot = nil
		return false
	}
	cn := r.accept(l)
	if cn == nil {
		r.hot = nil
		r.listenersDrained = r.kept == 0
		return false
	}
	return s.receive(cn)
}

// nextAgain returns the connection whose turn it is; nil: it has gone, or is in hand.
func (r *reactor) nextAgain() *conn {
	cn := r.again[0]
	r.again[0] = nil
	r.again, r.round = r.again[1:], r.round-1
	if len(r.again) == 0 {
		r.again = nil
	}
	cn.listed = false
	if cn.index < 0 || cn.inHand {
		return nil
	}
	return cn
}

// wait asks epoll: first without giving up the processor, then, if it may, for as long as it
// takes. It tells whether there are events.
// epoll_pwait without a mask of signals is epoll_wait, which not every architecture has.
func (r *reactor) wait(block bool) bool {
	r.event, r.nevents = 0, 0
	if !r.listenersDrained || !block {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll), uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), 0, 0, 0)
		if errno == 0 && n > 0 || !block {
			return r.fetched(n, errno, false)
		}
	}
	r.listenersDrained = false
	if r.accepted && r.accepting && r.now-r.turned > int64(turnEvery) {
		r.takeTurns()
	}
	timeout := -1
	if len(r.postponed) > 0 {
		timeout = postponedTick
	} else if r.kept > 0 || r.pausedTo > 0 || r.w.phase.Load() != serving {
		timeout = r.waitTimeout()
	}
	r.polling = true
	r.mu.Unlock()
	n, _, errno := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll), uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), uintptr(timeout), 0, 0)
	r.mu.Lock()
	r.polling = false
	return r.fetched(n, errno, true)
}

// fetched notes what epoll_wait has returned; waited: nothing was there when it was called.
func (r *reactor) fetched(n uintptr, errno syscall.Errno, waited bool) bool {
	r.now = monotime.Now()
	r.noteFetched(waited)
	switch {
	case errno == 0:
		r.nevents = int(n)
		r.sweep()
	case errno == syscall.EINTR:
		r.signalled = true
		if r.leader.index != 0 {
			r.unpark(r.slots[0])
		}
	default: // the application may have closed what is not its own
		r.w.logLimited(&r.w.limits.epoll, "epoll_wait(): %v", errno)
		nap(acceptPause)
	}
	return r.nevents > 0
}

// waitTimeout is how long, in milliseconds, nothing is due.
func (r *reactor) waitTimeout() int {
	if r.pausedTo > 0 || r.w.phase.Load() != serving {
		return 20
	}
	return 250
}

// wake makes the leader check the worker's phase and queue.
func (r *reactor) wake() {
	eventfd.Add(r.wakeFD)
}

func epollCtl(epoll, operation, fd int, event *unix.EpollEvent) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(operation), uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return errno
}
