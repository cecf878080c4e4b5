package worker

import (
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
)

// busyStage is a worker whose only slot is in the application, with another worker to pass connections to: whoever
// reads from the pair's first end.
func busyStage(t *testing.T) *stage {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, "http", func(spec *workerspec.Spec) { spec.HandoverFD = pair })
	s.send(s.connect(), get)
	s.request()
	return s
}

// fetched has the reactor hold an event that its leader had fetched when it entered the application.
func (s *stage) fetched(event unix.EpollEvent) {
	r := s.w.reactor
	r.events[0], r.event, r.nevents = event, 0, 1
}

func (s *stage) passOn(idle bool) bool {
	s.w.reactor.mu.Lock()
	defer s.w.reactor.mu.Unlock()
	s.w.reactor.now = monotime.Now()
	return s.w.reactor.passOn(idle)
}

// passedOn tells whether a connection is under way to another worker.
func (s *stage) passedOn() bool {
	var text [512]byte
	n, _, err := unix.Recvfrom(s.w.spec.HandoverFD[0], text[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n > 0
}

func TestAConnectionThatABusyWorkerWasWokenForIsPassedOn(t *testing.T) {
	s := busyStage(t)
	s.send(s.connect(), get)
	listener := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.w.listeners[0].index), Pad: tagListener}
	s.fetched(listener)
	if s.passOn(false) || s.passedOn() {
		t.Fatal("it is passed on although nobody is idle")
	}
	s.fetched(listener)
	if !s.passOn(true) || !s.passedOn() {
		t.Fatal("it waits for the busy worker")
	}
}

func TestAHandedOverConnectionThatABusyWorkerWasWokenForIsPassedOn(t *testing.T) {
	s := busyStage(t)
	c := s.connect()
	s.send(c, get)
	s.fetched(unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.w.listeners[0].index), Pad: tagListener})
	s.passOn(true)
	s.fetched(unix.EpollEvent{Events: unix.EPOLLIN, Pad: tagHandover}) // it comes to this worker, of all
	if !s.passOn(true) || !s.passedOn() {
		t.Fatal("it waits for the busy worker")
	}
	s.answer(okReply)
	s.request() // whoever takes it in the end
	s.answer(okReply)
	s.quick()
	s.expect(c, okReply)
}

func TestAnEventIsNotLostWhenItsConnectionCannotBePassedOn(t *testing.T) {
	s := busyStage(t)
	c := s.connect()
	s.send(c, get)
	s.answer(okReply)
	s.request()
	s.answer(okReply)
	other := s.connect()
	s.send(other, get)
	s.request()
	s.expect(c, okReply)
	s.send(c, get) // kept by the worker, which is busy with the other one
	s.w.spec.HandoverFD[1], _ = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if s.passOn(true) {
		t.Fatal("it was passed on to nobody")
	}
	s.answer(okReply)
	s.request()
	s.answer(okReply)
	s.quick()
	s.expect(c, okReply)
}

func TestAnEventOfAConnectionThatIsGoneIsNotOfTheNextInItsPlace(t *testing.T) {
	s := newStage(t, "http", nil)
	r, l := s.w.reactor, s.w.listeners[0]
	s.connect()
	r.mu.Lock()
	gone := r.accept(l)
	r.keep(gone, nil)
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(gone.index), Pad: gone.tag()} // its client has left
	r.drop(gone)
	c := s.connect()
	next := r.accept(l)
	r.keep(next, nil)
	samePlace := next.index == int(event.Fd)
	taken := r.handle(s.slot, &event) || r.passConn(&event) || next.ending || next.again || r.conns[event.Fd] != next
	r.mu.Unlock()
	if !samePlace || taken {
		t.Fatal("the event of the one before was taken for its own", samePlace, taken)
	}
	s.send(c, get)
	s.request()
	s.answer(okReply)
	s.quick()
	s.expect(c, okReply)
}
