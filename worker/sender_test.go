package worker

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quick has the core serve another request, which shows that it is not held.
func (s *stage) quick() {
	s.Helper()
	c := s.connect()
	s.send(c, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n")
	if vars, _ := s.request(); vars["PATH_INFO"] != "/quick" {
		s.Fatalf("served %v", vars)
	}
}

func TestItemsLeaveAheadOfTheClientAndInOrder(t *testing.T) {
	s := newStage(t, "http", nil)
	slow := s.connect()
	s.send(slow, get)
	s.request()
	s.slot.io.out_len, s.slot.io.result = 0, resDelimited
	first, second := strings.Repeat("1", 32<<20), strings.Repeat("2", 32<<20)
	if got := s.slot.write([]byte(first), sendAhead); got != writeOK || s.slot.response.sender == nil {
		t.Fatalf("write() is %d, sender %v", got, s.slot.response.sender)
	}
	done := make(chan int, 2)
	go func() {
		done <- s.slot.write([]byte(second), sendAhead) // waits for the first
		done <- s.slot.write([]byte("end"), sendLast)   // does not
	}()
	s.expect(slow, first)
	for range 2 {
		if got := <-done; got != writeOK {
			t.Fatalf("write() is %d", got)
		}
	}
	s.quick()
	s.expect(slow, second+"end")
	s.answer(okReply)
	s.send(slow, "GET /kept HTTP/1.1\r\nHost: h\r\n\r\n")
	if vars, _ := s.request(); vars["PATH_INFO"] != "/kept" {
		t.Fatalf("served %v on the connection", vars)
	}
}

func TestAnErrorOfTheSenderReachesTheNextItem(t *testing.T) {
	s := newStage(t, "http", nil)
	slow := s.connect()
	s.send(slow, get)
	s.request()
	s.slot.io.out_len, s.slot.io.result = 0, 0
	if got := s.slot.write([]byte(strings.Repeat("1", 32<<20)), sendAhead); got != writeOK {
		t.Fatalf("write() is %d", got)
	}
	if err := slow.(*net.TCPConn).SetLinger(0); err != nil { // a reset
		t.Fatal(err)
	}
	slow.Close()
	if got := s.slot.write([]byte("2"), sendAhead); got != writeGone || s.slot.response.errno != syscall.ECONNRESET && s.slot.response.errno != syscall.EPIPE {
		t.Fatalf("write() is %d, %v", got, s.slot.response.errno)
	}
	s.slot.io.result |= resBroken
	s.quick()
	deadline := time.Now().Add(10 * time.Second)
	for s.w.sending.Load() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the sender does not end")
		}
		_, _ = unix.Poll(nil, 1)
	}
}

func TestWhatIsSaidOfASendersError(t *testing.T) {
	for err, want := range map[error]syscall.Errno{
		&net.OpError{Op: "write", Err: syscall.EPIPE}: syscall.EPIPE,
		errors.New("other"):                           syscall.EIO,
	} {
		if got := errnoOf(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
