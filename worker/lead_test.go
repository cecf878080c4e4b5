package worker

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
)

func TestWhenAnotherSlotLeads(t *testing.T) {
	for name, c := range map[string]struct {
		absence
		want bool
	}{
		"it comes back":                        {absence{inApp: false, lasted: leadFor * 9}, false},
		"it has just gone":                     {absence{inApp: true, lasted: leadFor}, false},
		"it stays":                             {absence{inApp: true, lasted: leadFor + 1}, true},
		"it runs":                              {absence{inApp: true, lasted: runFor, runs: true}, false},
		"it runs for longer than it may":       {absence{inApp: true, lasted: runFor + 1, runs: true}, true},
		"requests take long":                   {absence{inApp: true, typical: slowFrom + 1}, true},
		"it stays, another waits for the lock": {absence{inApp: true, lasted: leadFor * 9, queued: 1}, false},
		"all take long, another waits":         {absence{inApp: true, typical: slowFrom + 1, queued: 1}, false},
		"another waits, rules answer":          {absence{inApp: true, lasted: leadFor + 1, queued: 1, answers: true}, true},
		"it runs, rules answer":                {absence{inApp: true, lasted: leadFor + 1, runs: true, answers: true}, true},
		"it has just gone, rules answer":       {absence{inApp: true, lasted: leadFor, queued: 1, answers: true}, false},
	} {
		if got := c.leaves(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheTypicalTimeIsNotThatOfAFew(t *testing.T) {
	var r reactor
	for n := range 1000 {
		spent := 20 * time.Microsecond
		if n%10 == 0 {
			spent = 50 * time.Millisecond
		}
		r.learn(int64(spent))
	}
	if r.typical > quickBelow || !r.quick.Load() {
		t.Errorf("typical is %v", time.Duration(r.typical))
	}
	for range 100 {
		r.learn(int64(5 * time.Millisecond))
	}
	if r.typical < slowFrom || r.quick.Load() {
		t.Errorf("typical is %v after slow ones", time.Duration(r.typical))
	}
}

// thread is a Python thread behind a slot.
type thread struct {
	*stage
	came chan int
}

// start lets the slot look for work, as its thread does without Python's lock.
func (s *stage) start(index int) *thread {
	th := &thread{&stage{s.T, s.w, s.w.reactor.slots[index], s.address}, make(chan int, 1)}
	th.goOn()
	return th
}

func (th *thread) goOn() { go func() { th.came <- th.slot.next() }() }

// has waits for what next returns.
func (th *thread) has(want int) {
	th.Helper()
	select {
	case got := <-th.came:
		if got == nextSignal && want != nextSignal { // one of Go's own has interrupted it
			th.goOn()
			th.has(want)
			return
		}
		if got != want {
			th.Fatalf("next() is %d, want %d", got, want)
		}
	case <-time.After(10 * time.Second):
		th.Fatal("the thread waits")
	}
}

// takesLock is what C does when it has Python's lock.
func (th *thread) takesLock() {
	(*atomic.Uint32)(unsafe.Pointer(&th.slot.io.running)).Store(1)
}

// until waits for a state of the reactor's.
func (s *stage) until(what string, condition func(*reactor) bool) {
	s.Helper()
	r := s.w.reactor
	for deadline := time.Now().Add(10 * time.Second); ; {
		r.mu.Lock()
		done := condition(r)
		r.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("not before long: %s", what)
		}
		_, _ = unix.Poll(nil, 1)
	}
}

// threads are those of a worker with n slots: the first leads, the others are parked.
func threads(t *testing.T, n int) []*thread {
	t.Helper()
	return threadsOf(t, n, func(*workerspec.Spec) {})
}

// threadsOf are threads of a worker with other settings than usual.
func threadsOf(t *testing.T, n int, change func(*workerspec.Spec)) []*thread {
	t.Helper()
	s := newStage(t, "http", func(spec *workerspec.Spec) {
		spec.Threads, spec.Cores = n, n
		change(spec)
	})
	var all []*thread
	for i := range n {
		all = append(all, s.start(i))
		s.until("a leader, the others parked", func(r *reactor) bool { return r.leader == all[0].slot && r.polling && len(r.parked) == i })
	}
	return all
}

func TestOneThreadServesAloneWhileTheApplicationIsQuick(t *testing.T) {
	all := threads(t, 3)
	c := all[0].connect()
	for range 20 {
		all[0].send(c, get)
		all[0].has(nextRequest)
		all[0].takesLock()
		all[0].answer(okReply)
		all[0].slot.entered.Store(monotime.Now()) // however slow this machine is
		all[0].goOn()
		all[0].expect(c, okReply)
	}
	all[0].until("the others are still parked", func(r *reactor) bool { return len(r.parked) == 2 && r.polling })
	stop(all)
}

func stop(all []*thread) {
	all[0].Helper()
	all[0].w.Stop(stopping, 0)
	for _, th := range all {
		th.has(nextStop)
	}
}

func TestAnotherThreadLeadsWhenTheLeaderStaysAway(t *testing.T) {
	all := threads(t, 2)
	slow, quick := all[0].connect(), all[0].connect()
	all[0].send(slow, get)
	all[0].has(nextRequest)
	all[0].send(quick, get)
	all[0].takesLock()
	all[1].has(nextRequest) // the watch has seen to it
	all[1].takesLock()
	all[1].answer(okReply)
	all[1].goOn()
	all[1].expect(quick, okReply)
	all[0].answer(okReply)
	all[0].goOn()
	all[0].expect(slow, okReply)
	stop(all)
}

func TestOneThreadAtATimeWaitsForPythonsLock(t *testing.T) {
	all := threads(t, 3)
	clients := []*thread{all[0], all[0], all[0]}
	for _, th := range clients {
		th.send(th.connect(), get)
	}
	all[0].has(nextRequest)
	all[0].takesLock()
	queued := all[1]
	select { // which of the parked ones is the reactor's choice
	case got := <-all[1].came:
		all[1].came <- got
	case got := <-all[2].came:
		all[2].came <- got
		queued = all[2]
	case <-time.After(10 * time.Second):
		t.Fatal("no other thread has a request")
	}
	queued.has(nextRequest)
	r := all[0].w.reactor
	if r.tend(monotime.Now()+int64(time.Second)) > 0 {
		t.Fatal("a third thread leads while the second waits for the lock")
	}
	queued.takesLock()
	all[0].until("a third thread leads", func(r *reactor) bool { return len(r.parked) == 0 })
	for _, th := range all {
		if th != all[0] && th != queued {
			th.has(nextRequest)
		}
		th.answer(okReply)
		th.goOn()
	}
	stop(all)
}

// secondLeads has the first of two threads answer a request on c, while the second one has taken the lead.
func secondLeads(all []*thread, c net.Conn) {
	all[0].Helper()
	all[0].send(c, get)
	all[0].has(nextRequest)
	all[0].takesLock()
	all[0].until("the second thread leads", func(r *reactor) bool { return r.polling && r.leader == all[1].slot })
	all[0].answer(okReply)
	all[0].goOn()
}

func TestASignalGoesToTheFirstThread(t *testing.T) {
	all := threads(t, 2)
	slow := all[0].connect()
	secondLeads(all, slow)
	all[0].until("the first thread is parked", func(r *reactor) bool { return len(r.parked) == 1 })
	if _, err := unix.Write(all[0].w.wakeup[1], []byte{10}); err != nil {
		t.Fatal(err)
	}
	all[0].has(nextSignal)
	all[0].goOn()
	stop(all)
}

func TestWhatComesWhileARequestIsInHandIsServedAfterIt(t *testing.T) {
	all := threads(t, 2)
	c := all[0].connect()
	secondLeads(all, c)
	all[0].expect(c, okReply) // from now on the connection is in the epoll set
	all[0].send(c, get)
	all[1].has(nextRequest)
	all[1].takesLock()
	all[0].send(c, get)
	all[0].until("the event was seen", func(r *reactor) bool { return r.slots[1].current.again })
	all[1].answer(okReply)
	all[1].goOn()
	all[1].expect(c, okReply)
	served := all[0]
	select {
	case got := <-all[0].came:
		all[0].came <- got
	case got := <-all[1].came:
		all[1].came <- got
		served = all[1]
	case <-time.After(10 * time.Second):
		t.Fatal("what came in the meantime is not served")
	}
	served.has(nextRequest)
	served.answer(okReply)
	served.goOn()
	stop(all)
}

// A loop of the application's own watches the epoll descriptor and calls a step that never blocks.
func TestAForeignLoopWatchesTheReactor(t *testing.T) {
	s := newStage(t, "http", nil)
	if got := s.slot.step(stepAsk); got != nextIdle {
		t.Fatalf("step() is %d, want nothing to do", got)
	}
	readable := func(milliseconds int) bool {
		set := []unix.PollFd{{Fd: int32(s.w.reactor.epoll), Events: unix.POLLIN}}
		n, err := unix.Poll(set, milliseconds)
		return n == 1 && err == nil
	}
	if readable(0) {
		t.Fatal("the reactor has something to do, and says so although it has done it")
	}
	c := s.connect()
	s.send(c, get)
	s.send(s.connect(), get)
	for served := 0; served < 2; {
		if !readable(10_000) && served == 0 {
			t.Fatal("nothing says that there is a request")
		}
		switch got := s.slot.step(stepAsk); got {
		case nextRequest:
			s.answer(okReply)
			served++
		case nextIdle:
		default:
			t.Fatalf("step() is %d", got)
		}
	}
	if got := s.slot.step(stepAsk); got != nextIdle {
		t.Fatalf("step() is %d, want nothing to do", got)
	}
	s.expect(c, okReply)
	s.send(c, get)
	if !readable(10_000) || s.slot.step(stepAsk) != nextRequest {
		t.Fatal("a kept connection's request is not seen")
	}
}
