package worker

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
)

// loopStage is a stage whose slots a loop runs; the test plays the loop.
func loopStage(t *testing.T, cores int, change func(*workerspec.Spec)) *stage {
	t.Helper()
	return newStage(t, "http", func(spec *workerspec.Spec) {
		spec.Loop, spec.Cores = &workerspec.Loop{Name: "gevent"}, cores
		if change != nil {
			change(spec)
		}
	})
}

// readable waits until the descriptor that the loop watches says that there is something to do.
func (s *stage) readable() {
	s.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.w.reactor.epoll), Events: unix.POLLIN}}, 10_000)
		if n == 1 {
			return
		}
		if err != unix.EINTR {
			s.Fatalf("the reactor's descriptor: %d, %v", n, err)
		}
	}
}

// take has the slot look until it has what is wanted, as a loop does.
func (s *stage) take(index, want int) {
	s.Helper()
	s.slot = s.w.reactor.slots[index]
	for range 1000 {
		got := s.slot.step(stepAsk)
		if got == want {
			return
		}
		if got != nextIdle {
			s.Fatalf("step is %d, want %d", got, want)
		}
		s.readable()
	}
	s.Fatalf("step never came to %d", want)
}

func TestALoopHasSeveralRequestsInHand(t *testing.T) {
	s := loopStage(t, 3, nil)
	if got := s.slot.step(stepAsk); got != nextIdle {
		t.Fatalf("step without a request is %d", got)
	}
	var clients []net.Conn
	for range 3 {
		c := s.connect()
		s.send(c, get)
		clients = append(clients, c)
	}
	for i := range clients {
		s.take(i, nextRequest)
	}
	late := s.connect()
	s.send(late, get)
	for _, i := range []int{1, 0, 2} { // whichever is ready first takes the next one
		s.slot = s.w.reactor.slots[i]
		s.answer(okReply)
		if i == 1 {
			s.take(i, nextRequest)
			s.answer(okReply)
		}
		s.take(i, nextIdle)
	}
	for _, c := range append(clients, late) {
		s.expect(c, okReply)
	}
}

func TestALoopIsToldOfWhatIsDue(t *testing.T) {
	s := loopStage(t, 1, func(spec *workerspec.Spec) { spec.Limits.SocketTimeoutMillis, spec.HTTP.TimeoutMillis = 300, 300 })
	c := s.connect()
	s.send(c, get)
	s.take(0, nextRequest)
	s.answer(okReply)
	s.take(0, nextIdle)
	s.expect(c, okReply)
	for s.w.reactor.kept > 0 { // the idle connection is dropped without anything else happening
		s.readable()
		s.take(0, nextIdle)
	}
	s.expectEnd(c)
	if every := s.w.reactor.clock.every; every != 0 {
		t.Errorf("the clock ticks every %v with nothing to wait for", every)
	}
}

func TestAWriteInALoopIsLeftOffUntilTheClientReads(t *testing.T) {
	s := loopStage(t, 1, nil)
	c := s.connect()
	s.send(c, get)
	s.take(0, nextRequest)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // more than sockets hold
	s.slot.io.out_len = 0
	begun := time.Now()
	outcome := s.slot.write(data, sendAhead)
	if outcome != writeAgain || time.Since(begun) > time.Second {
		t.Fatalf("write is %d after %v", outcome, time.Since(begun))
	}
	if patience := s.slot.io.patience; patience != 5000 {
		t.Errorf("the client is given %d ms", patience)
	}
	received := make(chan []byte)
	go func() {
		all := make([]byte, len(data))
		_, _ = io.ReadFull(c, all)
		received <- all
	}()
	for outcome == writeAgain {
		if !writable(s.slot.current.fd, 5*time.Second) {
			t.Fatal("the client does not read")
		}
		outcome = s.slot.resume(false)
	}
	if got := <-received; outcome != writeOK || !bytes.Equal(got, data) {
		t.Errorf("the write ends with %d; what came is the same: %v", outcome, bytes.Equal(got, data))
	}
}

func TestAClientThatDoesNotReadInTimeIsGivenUp(t *testing.T) {
	s := loopStage(t, 1, nil)
	c := s.connect()
	s.send(c, get)
	s.take(0, nextRequest)
	s.slot.io.out_len = 0
	if outcome := s.slot.write(make([]byte, 16<<20), sendWhole); outcome != writeAgain {
		t.Fatalf("write is %d", outcome)
	}
	if outcome := s.slot.resume(true); outcome != writeTimeout || s.slot.response.errno != unix.ETIMEDOUT {
		t.Errorf("resume is %d, the error %v", outcome, s.slot.response.errno)
	}
}

func TestALoopEndsWhenAllIsServed(t *testing.T) {
	s := loopStage(t, 2, nil)
	c := s.connect()
	s.send(c, get)
	s.take(0, nextRequest)
	s.w.Stop(stopping, exitEnd)
	s.readable()
	s.take(1, nextIdle)
	s.slot = s.w.reactor.slots[0]
	s.answer(okReply)
	s.take(0, nextStop)
	s.expect(c, okReply)
	s.take(1, nextStop)
}
