package worker

import (
	"bytes"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAWebsocketThatSendsAsTheServerEndsIsToldAfterwards(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	f := &frames{fd: pair[0], sending: true} // a message is on its way
	f.turn = sync.NewCond(&f.mu)
	f.goAway()
	var room [16]byte
	if n, err := syscall.Read(pair[1], room[:]); n > 0 || err != syscall.EAGAIN {
		t.Fatalf("%d bytes in the middle of a message, %v", n, err)
	}
	f.pushed(writeOK)
	want := []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}
	if n, err := syscall.Read(pair[1], room[:]); err != nil || !bytes.Equal(room[:n], want) {
		t.Fatalf("% x, %v", room[:max(n, 0)], err)
	}
	if f.send(2, []byte("x")) != writeGone {
		t.Fatal("a message behind the close frame")
	}
}
