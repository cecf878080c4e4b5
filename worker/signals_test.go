package worker

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/internal/socketpair"
	"envoxyd/internal/workerspec"
)

// signalQueue is a queue of signals as the master makes them: they come out of the first, and go into the second.
func signalQueue(t *testing.T) (out, in int) {
	t.Helper()
	fds, err := socketpair.Messages()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	return fds[0], fds[1]
}

func raise(t *testing.T, queue int, numbers ...byte) {
	t.Helper()
	for _, number := range numbers {
		if _, err := unix.Write(queue, []byte{number}); err != nil {
			t.Fatal(err)
		}
	}
}

// signalled is a worker with n slots, and where its own signals and those for any worker go in.
func signalled(t *testing.T, n int) (s *stage, own, shared int) {
	t.Helper()
	sharedOut, shared := signalQueue(t)
	ownOut, own := signalQueue(t)
	s = newStage(t, "http", func(spec *workerspec.Spec) {
		spec.Threads, spec.Cores, spec.Signals.Workers = n, n, []int{sharedOut, ownOut}
		spec.Limits.HarakiriSeconds = 60
	})
	return s, own, shared
}

func (th *thread) hasSignal(number byte) {
	th.Helper()
	th.has(nextUwsgiSignal)
	if got := th.slot.io.uwsgi_signal; got != cInt32(number) {
		th.Fatalf("signal %d, want %d", got, number)
	}
}

func TestSignalsAreHandledOneAfterTheOther(t *testing.T) {
	s, own, shared := signalled(t, 1)
	raise(t, own, 0, 255, 7, 7)
	th := s.start(0)
	line := th.slot.line
	for handled, number := range []byte{0, 255, 7, 7} {
		th.hasSignal(number)
		if line.Handling.Load() != uint32(number)+1 || line.State.Load() != shm.Busy || line.Signals.Load() != uint64(handled) {
			t.Errorf("signal %d: it is shown as %d", number, line.Handling.Load())
		}
		if want := "uwsgi - signal " + strconv.Itoa(int(number)); line.Deadline.Load() <= monotime.Now() || line.Request() != want {
			t.Errorf("signal %d: harakiri does not see it: %d, %q", number, line.Deadline.Load(), line.Request())
		}
		th.goOn()
	}
	s.until("it waits", func(r *reactor) bool { return r.polling })
	if line.Handling.Load() != 0 || line.Deadline.Load() != 0 || line.State.Load() != shm.Idle || line.Signals.Load() != 4 {
		t.Errorf("after the last it is shown as %d, %d were handled", line.Handling.Load(), line.Signals.Load())
	}
	raise(t, shared, 9)
	th.hasSignal(9)
	th.goOn()
	stop([]*thread{th})
}

func TestRequestsAndSignalsHaveTheirTurns(t *testing.T) {
	s, own, _ := signalled(t, 1)
	c := s.connect()
	s.send(c, get)
	raise(t, own, 3)
	th := s.start(0)
	seen := map[int]int{}
	for range 2 {
		got := <-th.came
		if seen[got]++; got == nextRequest {
			th.takesLock()
			th.answer(okReply)
		}
		th.goOn()
	}
	if seen[nextRequest] != 1 || seen[nextUwsgiSignal] != 1 {
		t.Errorf("it was told %v", seen)
	}
	th.expect(c, okReply)
	stop([]*thread{th})
}

func TestASignalThatAnotherWorkerHasTakenIsNobodys(t *testing.T) {
	s, _, shared := signalled(t, 1)
	raise(t, shared, 3)
	queue := s.w.spec.Signals.Workers[0]
	var one [1]byte
	if n, err := unix.Read(queue, one[:]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if s.slot.takeSignal(queue) || s.slot.handling || s.slot.line.Handling.Load() != 0 {
		t.Error("it is handled")
	}
}

func TestABusySlotLeavesSignalsToTheOther(t *testing.T) {
	s, own, _ := signalled(t, 2)
	all := []*thread{s.start(0)}
	s.until("the first leads", func(r *reactor) bool { return r.polling })
	all = append(all, s.start(1))
	s.until("the second is parked", func(r *reactor) bool { return len(r.parked) == 1 })
	raise(t, own, 5)
	all[0].hasSignal(5)
	all[0].takesLock()
	raise(t, own, 6)
	all[1].hasSignal(6)
	for _, th := range all {
		th.goOn()
	}
	stop(all)
}

func TestAPausedWorkerLeavesSignalsWhereTheyAre(t *testing.T) {
	s, own, shared := signalled(t, 1)
	th := s.start(0)
	s.until("it waits", func(r *reactor) bool { return r.polling })
	s.w.pause(true)
	s.until("it is paused", func(r *reactor) bool { return r.suspended && r.polling })
	raise(t, own, 1)
	raise(t, shared, 2)
	for _, queue := range s.w.spec.Signals.Workers {
		if !readable(t, queue) {
			t.Error("a signal has gone")
		}
	}
	s.w.pause(false)
	seen := map[cInt32]bool{}
	for range 2 {
		th.has(nextUwsgiSignal)
		seen[th.slot.io.uwsgi_signal] = true
		th.goOn()
	}
	if !seen[1] || !seen[2] {
		t.Errorf("it has got %v", seen)
	}
	stop([]*thread{th})
}

func TestALeavingWorkerLeavesSignalsToItsSuccessor(t *testing.T) {
	s, own, shared := signalled(t, 1)
	th := s.start(0)
	s.until("it waits", func(r *reactor) bool { return r.polling })
	stop([]*thread{th})
	raise(t, own, 1)
	raise(t, shared, 2)
	th.goOn()
	th.has(nextStop)
	for _, queue := range s.w.spec.Signals.Workers {
		if !readable(t, queue) {
			t.Error("a signal has gone")
		}
	}
}

func readable(t *testing.T, fd int) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}
