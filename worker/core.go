package worker

import (
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/worker/requestlog"
)

// inputSize is what one read takes at most. A request that is not whole after
// one read is left to a goroutine.
const inputSize = 64 << 10

// acceptPause is how long a core without free descriptors leaves new connections to others.
const acceptPause = 100 * time.Millisecond

// hotAccepts is how often in a row a core accepts from the listener that it has
// just served without asking epoll about all other descriptors.
const hotAccepts = 16

// What an epoll event is about (EpollEvent.Pad).
const (
	tagConn = iota
	tagListener
	tagWake
	tagReady
	tagHandover
	tagSignal
)

// Who owns the core's connections and events: its own thread, nobody while the
// application runs, or the watch that passes waiting connections on.
const (
	inStep = iota
	inApp
	beingWatched
)

// core is one Python thread's half in Go.
type core struct {
	parser
	index int
	io    *coreIO
	line  *shm.Core

	epoll   int
	wakeFD  int
	events  [64]unix.EpollEvent
	nevents int
	event   int

	input []byte // C memory of inputSize or the buffer size, whichever is more

	conns []*conn // kept connections; nil where a hole is
	holes []int
	free  []*conn
	kept  int
	link  *conn // the one of them that is the gateway's

	current          *conn
	response         response
	hot              *listener
	hotLeft          int
	listenersDrained bool // the listener that was hot has nothing more, and no connection is kept
	accepting        bool // the listeners are in the epoll set
	suspended        bool // they are not, because the worker is paused
	leaving          bool // they never will be again
	pausedTo         int64
	starved          bool // descriptors, or memory for them, had run out when last asked for
	swept            int64

	paused     int64 // when the core last made a pause for Go's scheduler
	sincePause int   // requests since then
	now        int64 // by the monotonic clock, in nanoseconds; read once a step

	owner   atomic.Int32
	entered atomic.Int64 // when the application was entered

	lastAddr     netip.Addr
	lastAddrText string
	logline      []byte
	record       requestlog.Record
	logvars      []byte // uwsgi.set_logvar's, as a block of variables
	fileBuffer   []byte // where small files are read into
	framed       []byte // a part of the response as the protocol has it, before it is sent
}

// response is what has become of the current response so far.
type response struct {
	keep     bool // the client allows another request
	body     *body
	sender   *sender // of what the client did not take at once
	file     *fileRest
	errno    syscall.Errno
	forceLog bool
	sendfile bool   // the body is a file's
	id       uint16 // the request's, for the transport
}

func newCore(w *Worker, index int, io *coreIO) (*core, error) {
	c := &core{parser: parser{w: w}, index: index, io: io, line: w.board.Core(w.id, index)}
	var err error
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if c.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	buffer := w.spec.Limits.BufferSize
	if c.input, err = offHeap(max(inputSize, buffer+4)); err != nil {
		return nil, err
	}
	if c.vars, err = offHeap(varsRoom(buffer)); err != nil {
		return nil, err
	}
	wake := unix.EpollEvent{Events: unix.EPOLLIN, Pad: tagWake}
	if errno := epollCtl(c.epoll, unix.EPOLL_CTL_ADD, c.wakeFD, &wake); errno != 0 {
		return nil, errno
	}
	if index == 0 {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Pad: tagSignal}
		if errno := epollCtl(c.epoll, unix.EPOLL_CTL_ADD, w.wakeup[0], &event); errno != 0 {
			return nil, errno
		}
	}
	if errno := c.watchHandover(); errno != 0 {
		return nil, errno
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Pad: tagReady}
	if errno := epollCtl(c.epoll, unix.EPOLL_CTL_ADD, w.ready.fd, &event); errno != 0 {
		return nil, errno
	}
	c.startAccepting()
	io.link_fd, io.event_fd = -1, -1
	c.line.PID.Store(uint32(os.Getpid()))
	c.line.State.Store(shm.Idle)
	c.line.Suspended.Store(0)
	c.line.Deadline.Store(0)
	c.line.UserDeadline.Store(0)
	return c, nil
}

// offHeap is zeroed memory that Go's collector neither scans nor moves.
func offHeap(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

func (c *core) startAccepting() {
	for _, l := range c.w.ours {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(l.index), Pad: tagListener}
		_ = epollCtl(c.epoll, unix.EPOLL_CTL_ADD, l.fd, &event) // EEXIST: it is in the set already
	}
	_ = c.watchHandover() // it was in the set before
	c.accepting, c.pausedTo = true, 0
}

func (c *core) stopAccepting() {
	for _, l := range c.w.ours {
		_ = epollCtl(c.epoll, unix.EPOLL_CTL_DEL, l.fd, nil) // ENOENT: it is not in the set
	}
	c.accepting, c.hot = false, nil
}

// suspend applies the worker's pause. Kept connections are still served.
func (c *core) suspend(on bool) {
	c.suspended, c.pausedTo = on, 0
	if on {
		c.stopAccepting()
		c.line.Suspended.Store(1)
		if int(c.w.suspended.Add(1)) == len(c.w.cores) {
			c.w.logf("*** worker %d suspended ***", c.w.id)
		}
		return
	}
	c.line.Suspended.Store(0)
	if !c.leaving {
		c.startAccepting()
	}
	if c.w.suspended.Add(-1) == 0 {
		c.w.logf("*** worker %d resumed ***", c.w.id)
	}
}

// scarce tells whether accept has failed for want of descriptors or memory: the connection
// still waits. After any other error the next one may be accepted.
func scarce(errno syscall.Errno) bool {
	return errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS || errno == syscall.ENOMEM
}

// acceptFailed says so and waits a moment.
func (c *core) acceptFailed(l *listener, errno syscall.Errno) {
	hint := ""
	if errno == syscall.EMFILE || errno == syscall.ENFILE {
		hint = " (raise the limit of open files)"
	}
	c.w.logLimited(&c.w.limits.accept, "uwsgi socket %d: accept(): %v%s", l.index, errno, hint)
	c.pauseAccepting()
}

// pauseAccepting keeps a core without free descriptors from spinning, and from taking
// connections of others.
func (c *core) pauseAccepting() {
	c.stopAccepting()
	if fd := c.w.spec.HandoverFD[0]; fd >= 0 {
		_ = epollCtl(c.epoll, unix.EPOLL_CTL_DEL, fd, nil) // ENOENT: it is not in the set
	}
	c.starved = true
	c.pausedTo = monotime.Now() + int64(acceptPause)
}

// watchHandover has the core take connections that others pass on.
func (c *core) watchHandover() syscall.Errno {
	fd := c.w.spec.HandoverFD[0]
	if fd < 0 {
		return 0
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Pad: tagHandover}
	if errno := epollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &event); errno != syscall.EEXIST {
		return errno
	}
	return 0
}

// hasDescriptor tells whether the process may open one more, and notes it.
func (c *core) hasDescriptor() bool {
	fd, err := unix.FcntlInt(uintptr(c.wakeFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	c.starved = false
	return true
}

// wake makes the core check the worker's phase and queue.
func (c *core) wake() {
	one := uint64(1)
	_, _ = syscall.Write(c.wakeFD, (*[8]byte)(unsafe.Pointer(&one))[:]) // EAGAIN: it is awake already
}

// next finishes the current request and waits for another one. It is the core
// step: everything on its straight path is a raw system call or a few
// comparisons.
func (c *core) next() int {
	c.enter()
	if c.current != nil {
		c.finish()
	}
	for {
		if r := c.w.ready.take(); r != nil {
			if c.serve(r) {
				return c.leave()
			}
			continue
		}
		if c.hot != nil {
			if c.tryHot() {
				return c.leave()
			}
			continue
		}
		if c.event < c.nevents {
			e := c.events[c.event]
			c.event++
			if e.Pad == tagSignal {
				var numbers [64]byte
				_, _ = syscall.Read(c.w.wakeup[0], numbers[:]) // EAGAIN: read before
				return nextSignal
			}
			if c.handle(&e) {
				return c.leave()
			}
			continue
		}
		if paused := c.w.paused.Load(); paused != c.suspended {
			c.suspend(paused)
		}
		if phase := c.w.phase.Load(); phase != serving {
			if cn := c.lastCall(phase); cn != nil {
				if c.receive(cn) {
					return c.leave()
				}
				continue
			}
			if c.drained(phase) {
				return nextStop
			}
		}
		if interrupted := c.wait(); interrupted {
			return nextSignal
		}
	}
}

// enter takes the core's connections back from the watch.
func (c *core) enter() {
	for !c.owner.CompareAndSwap(inApp, inStep) {
		if c.owner.Load() == inStep {
			return
		}
		runtime.Gosched()
	}
}

// Go's scheduler takes a core for one goroutine that never pauses: after 10 ms it
// would take the processor away at every check, 50,000 times a second, and let the
// core ask for it back. A pause now and then, while the core is busy, costs less.
const (
	pauseEvery = int64(5 * time.Millisecond)
	pauseAfter = 16 // requests: an idle core has nothing to gain
)

func (c *core) pause() {
	if c.sincePause++; c.sincePause < pauseAfter || c.now-c.paused < pauseEvery {
		return
	}
	c.sincePause, c.paused = 0, c.now
	runtime.Gosched()
}

// leave goes to the application with the request in io.
func (c *core) leave() int {
	c.pause()
	c.entered.Store(c.now)
	c.owner.Store(inApp)
	c.w.bell.Ring()
	return nextRequest
}

func (c *core) tryHot() bool {
	l := c.hot
	if c.hotLeft--; c.hotLeft <= 0 || c.w.phase.Load() != serving {
		c.hot = nil
		return false
	}
	cn := c.accept(l)
	if cn == nil {
		c.hot = nil
		c.listenersDrained = c.kept == 0
		return false
	}
	return c.receive(cn)
}

// wait asks epoll: first without giving up the processor, then for as long as it takes.
func (c *core) wait() (interrupted bool) {
	c.event = 0
	var n uintptr
	var errno syscall.Errno
	if !c.listenersDrained {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_EPOLL_WAIT, uintptr(c.epoll), uintptr(unsafe.Pointer(&c.events[0])), uintptr(len(c.events)), 0, 0, 0)
		if errno == 0 && n > 0 {
			c.nevents = int(n)
			c.now = monotime.Now()
			c.sweep()
			return false
		}
	}
	c.listenersDrained = false
	timeout := -1
	if c.kept > 0 || c.pausedTo > 0 || c.w.phase.Load() != serving {
		timeout = c.waitTimeout()
	}
	n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_WAIT, uintptr(c.epoll), uintptr(unsafe.Pointer(&c.events[0])), uintptr(len(c.events)), uintptr(timeout), 0, 0)
	c.now = monotime.Now()
	if errno != 0 {
		c.nevents = 0
		if errno != syscall.EINTR { // the application may have closed what is not its own
			c.w.logLimited(&c.w.limits.epoll, "epoll_wait(): %v", errno)
			nap(acceptPause)
		}
		return errno == syscall.EINTR
	}
	c.nevents = int(n)
	c.sweep()
	return false
}

// waitTimeout is how long, in milliseconds, nothing is due.
func (c *core) waitTimeout() int {
	if c.pausedTo > 0 || c.w.phase.Load() != serving {
		return 20
	}
	return 250
}

// sweep drops connections that have been idle for too long; checking now and then is enough.
func (c *core) sweep() {
	if c.pausedTo > 0 && c.now > c.pausedTo && c.w.phase.Load() == serving {
		c.startAccepting()
	}
	if c.now-c.swept < int64(250*time.Millisecond) {
		return
	}
	c.swept = c.now
	for _, cn := range c.conns {
		if cn != nil && c.now-cn.lastUse > int64(cn.listener.idle) && !c.pending(cn) {
			c.dropIdle(cn)
		}
	}
}

// pending tells whether the connection has an event that was fetched but not handled yet.
func (c *core) pending(cn *conn) bool {
	for _, e := range c.events[c.event:c.nevents] {
		if e.Pad == tagConn && int(e.Fd) == cn.index {
			return true
		}
	}
	return false
}

// lastCall returns connections that nobody else would take from a worker that
// leaves: those under way between cores, and on a stop those that wait to be accepted.
func (c *core) lastCall(phase int32) *conn {
	if c.accepting && phase == stopping {
		for _, l := range c.w.ours {
			if cn := c.accept(l); cn != nil {
				return cn
			}
		}
	}
	if c.w.spec.HandoverFD[0] >= 0 {
		return c.takeHandover()
	}
	return nil
}

// drained does what is left to do once the worker is leaving, and tells
// whether that was all.
func (c *core) drained(phase int32) bool {
	if !c.leaving { // what has arrived by now is still served: check once more
		c.leaving = true
		c.stopAccepting()
		return false
	}
	late := c.now > c.w.drainFor.Load()
	for _, cn := range c.conns {
		if cn != nil && (late || phase == stopping || cn.listener.event) {
			c.dropIdle(cn)
		}
	}
	if c.kept > 0 {
		return false
	}
	if c.w.receiving.Load() > 0 && !late || c.w.sending.Load() > 0 || c.w.ready.len() > 0 {
		return false
	}
	c.line.State.Store(shm.Absent)
	return true
}

func (c *core) handle(e *unix.EpollEvent) bool {
	switch e.Pad {
	case tagConn:
		if int(e.Fd) >= len(c.conns) || c.conns[e.Fd] == nil {
			return false // passed on or closed in the meantime
		}
		return c.receive(c.conns[e.Fd])
	case tagListener:
		if !c.accepting {
			return false
		}
		l := c.w.listeners[e.Fd]
		cn := c.accept(l)
		if cn == nil {
			return false
		}
		c.hot, c.hotLeft = l, hotAccepts
		return c.receive(cn)
	case tagHandover:
		if cn := c.takeHandover(); cn != nil {
			return c.receive(cn)
		}
	case tagWake:
		var counter [8]byte
		_, _ = syscall.Read(c.wakeFD, counter[:]) // EAGAIN: another wake-up was read with ours
	case tagReady:
		c.w.ready.clear()
	}
	return false
}
