package httprouter

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/eventfd"
	"envoxyd/internal/monotime"
	"envoxyd/router/relay"
)

const (
	batch     = 128                   // events that are fetched at once
	batches   = 16                    // after which other goroutines have their turn
	lateness  = 10 * time.Microsecond // by which a timeout may be late for each descriptor in a loop: all are looked through
	watchFor  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	happened  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	lastEvent = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// loop serves connections by events, without a goroutine for each: what is common and never waits within a step. All
// else it hands over to a goroutine (handover.go). Its set of descriptors is one descriptor in Go's poller.
type loop struct {
	r    *Router
	set  *os.File // the epoll descriptor
	raw  syscall.RawConn
	turn *turn

	running sync.WaitGroup
	events  [batch]unix.EpollEvent // of run alone

	mu     sync.Mutex // of all below, and of what is in the loop
	ends   []*end     // what is watched, by number
	holes  []int32    // numbers that are free
	serial int32
	idle   map[string][]*end // connections to nodes that wait for their next use, by address; the last is taken first
	timer  *time.Timer
	armed  int64 // when the timer fires; 0: it does not
	closed bool
}

// end is a descriptor in the loop.
type end struct {
	fd       int
	number   int32   // in loop.ends; -1: it is not watched
	serial   int32   // by which an event for an earlier one with the number is told
	client   *client // whose it is, or whose request a node has in hand; nil: the node waits for its next use
	node     bool
	readable bool // something may be there of which no event tells
	ended    bool // the other side has sent its last

	address string // of a node
	since   int64  // when it began to wait
}

func newLoop(r *Router) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that it goes into Go's poller
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &loop{r: r, set: os.NewFile(uintptr(fd), "epoll"), idle: map[string][]*end{}}
	if l.raw, err = l.set.SyscallConn(); err == nil {
		l.turn, err = newTurn()
	}
	if err != nil {
		_ = l.set.Close()
		return nil, fmt.Errorf("a router's events: %w", err)
	}
	l.timer = time.AfterFunc(time.Hour, l.expire)
	l.running.Go(l.run)
	return l, nil
}

// run handles events until the loop is closed.
func (l *loop) run() {
	inRow := 0
	for {
		n := 0
		err := l.raw.Read(func(fd uintptr) bool {
			n = epollWait(fd, &l.events)
			if n == 0 {
				inRow = 0
			}
			return n != 0
		})
		if err != nil {
			return
		}
		for i := range n {
			l.handle(&l.events[i])
		}
		if inRow++; inRow == batches {
			inRow = 0
			l.turn.give()
		}
	}
}

func epollWait(fd uintptr, events *[batch]unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), batch, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// handle deals with one event. A fault ends the connection that it is about, and no other.
func (l *loop) handle(e *unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.ends[e.Fd]
	if end == nil || end.serial != e.Pad {
		return
	}
	defer l.survive(end.client)
	end.ended = end.ended || e.Events&lastEvent != 0
	switch c := end.client; {
	case !end.node:
		end.readable = true
		if c.state == waiting {
			l.receive(c)
		}
	case c == nil && e.Events&happened != 0:
		l.dropIdle(end)
	case c == nil:
	case c.state == connecting:
		l.connected(c)
	default:
		l.answer(c)
	}
}

// survive keeps the fault of one connection from ending all others; the lock is held.
func (l *loop) survive(c *client) {
	if fault := recover(); fault != nil {
		l.r.host.Fault(fault)
		if c != nil && !c.over {
			l.drop(c)
		}
	}
}

// watch has events come for a descriptor.
func (l *loop) watch(e *end, events uint32) error {
	if n := len(l.holes); n > 0 {
		e.number = l.holes[n-1]
		l.holes = l.holes[:n-1]
	} else {
		e.number = int32(len(l.ends))
		l.ends = append(l.ends, nil)
	}
	l.serial++
	e.serial = l.serial
	l.ends[e.number] = e
	event := unix.EpollEvent{Events: events, Fd: e.number, Pad: e.serial}
	var failed error
	err := l.raw.Control(func(set uintptr) { failed = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, e.fd, &event) })
	if err = errors.Join(err, failed); err != nil {
		l.forget(e)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// forget frees the number of a descriptor that is closed, or was never watched.
func (l *loop) forget(e *end) {
	if e.number >= 0 {
		l.ends[e.number] = nil
		l.holes = append(l.holes, e.number)
		e.number = -1
	}
}

// release takes a descriptor out of the loop for who has it from now on.
func (l *loop) release(e *end) {
	if e.number >= 0 {
		_ = l.raw.Control(func(set uintptr) { _ = unix.EpollCtl(int(set), unix.EPOLL_CTL_DEL, e.fd, nil) })
		l.forget(e)
	}
}

// close closes a descriptor, which leaves the set with that.
func (l *loop) close(e *end) {
	closeFD(e.fd)
	l.forget(e)
}

// stop ends the loop and closes what is left in it.
func (l *loop) stop() {
	_ = l.set.Close()
	l.turn.stop()
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.timer.Stop()
	for _, e := range l.ends {
		if e == nil {
			continue
		}
		if c := e.client; c != nil {
			l.drop(c)
		} else {
			l.close(e)
		}
	}
}

// arm has expire called at that time, or before.
func (l *loop) arm(at int64) {
	if at > 0 && (l.armed == 0 || at < l.armed) {
		l.armed = at
		l.timer.Reset(time.Duration(at - monotime.Now()))
	}
}

// expire ends what has waited for too long.
func (l *loop) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.armed = 0
	now, next := monotime.Now(), int64(0)
	for number := range l.ends {
		e := l.ends[number]
		if e == nil {
			continue
		}
		at := e.since + int64(relay.KeptTime)
		if e.client != nil {
			at = e.client.deadline
		}
		switch {
		case at == 0:
		case at > now:
			if next == 0 || at < next {
				next = at
			}
		case e.client != nil:
			func() {
				defer l.survive(e.client)
				l.lapse(e.client)
			}()
		default:
			l.dropIdle(e)
		}
	}
	for address, list := range l.idle {
		if len(list) == 0 {
			delete(l.idle, address)
		}
	}
	if next > 0 {
		l.arm(max(next, now+int64(len(l.ends))*int64(lateness)))
	}
}

// turn gives other goroutines their turn: a runtime with one thread does not look at its own events while a goroutine
// could run, so one is made to wait for one of them.
type turn struct {
	event   *os.File // an eventfd, which is counted down by each read
	taken   chan struct{}
	running sync.WaitGroup
}

func newTurn() (*turn, error) {
	fd, err := eventfd.New()
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	t := &turn{event: os.NewFile(uintptr(fd), "eventfd"), taken: make(chan struct{}, 1)}
	t.running.Go(func() {
		var count [8]byte
		for {
			if n, err := t.event.Read(count[:]); n == 0 || err != nil {
				close(t.taken)
				return
			}
			t.taken <- struct{}{}
		}
	})
	return t, nil
}

// give returns when all goroutines for which there are events have been made to run.
func (t *turn) give() {
	if _, err := t.event.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		<-t.taken
	}
}

func (t *turn) stop() {
	_ = t.event.Close()
	t.running.Wait()
}
