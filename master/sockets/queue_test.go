package sockets

import (
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// overflow fills the queue of a socket, has one more connection refused, and accepts them all.
func overflow(t *testing.T, s *Socket) {
	t.Helper()
	address, err := unix.Getsockname(s.FD)
	if err != nil {
		t.Fatal(err)
	}
	connect := func(flags int) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.Connect(fd, address); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	for waiting, limit := s.Queue(); waiting <= limit; waiting, _ = s.Queue() {
		connect(0)
	}
	before, _ := drops(s.FD)
	connect(unix.SOCK_NONBLOCK)
	for now := before; now == before; now, _ = drops(s.FD) {
		runtime.Gosched()
	}
	for {
		fd, _, err := unix.Accept4(s.FD, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.Close(fd)
	}
}

func TestAnOverflowIsToldOnce(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Address: "127.0.0.1:0", Protocol: "uwsgi"})
	s := o.mustOpen(t)[0]
	if s.Overflowed() {
		t.Error("a new socket has overflowed")
	}
	overflow(t, s)
	if waiting, limit := s.Queue(); waiting != 0 || limit != 7 {
		t.Errorf("%d of %d wait after all have been accepted", waiting, limit)
	}
	if !s.Overflowed() {
		t.Error("an overflow that has passed is not told")
	}
	if s.Overflowed() {
		t.Error("it is told twice")
	}
}

func TestAnOverflowBeforeTheFirstLookIsTold(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Address: "127.0.0.1:0", Protocol: "uwsgi"})
	s := o.mustOpen(t)[0]
	overflow(t, s)
	inherited := *s
	if !s.Overflowed() {
		t.Error("not for a socket of our own")
	}
	inherited.inherited = true
	if inherited.Overflowed() {
		t.Error("told for a socket that was open before: others may have told it")
	}
}

// TestWhatIsDroppedForOtherReasonsIsNoOverflow: here, the confirmation of connections on which nothing is sent yet (TCP_DEFER_ACCEPT).
func TestWhatIsDroppedForOtherReasonsIsNoOverflow(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Address: "127.0.0.1:0", Protocol: "uwsgi"})
	s := o.mustOpen(t)[0]
	before, _ := drops(s.FD)
	c, err := net.Dial("tcp", s.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if now, _ := drops(s.FD); now == before {
		t.Skip("this kernel does not count it as dropped")
	}
	if s.Overflowed() {
		t.Error("an empty queue has overflowed")
	}
}
