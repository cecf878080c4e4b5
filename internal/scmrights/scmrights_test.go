package scmrights

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADescriptorComesOutOfAMessage(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := unix.Sendmsg(fds[0], []byte("x"), unix.UnixRights(int(write.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var text [1]byte
	var control [Room]byte
	_, n, _, _, err := unix.Recvmsg(fds[1], text[:], control[:], unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := Descriptor(control[:n])
	if err != nil {
		t.Fatal(err)
	}
	got := os.NewFile(uintptr(fd), "got")
	if _, err := got.WriteString("y"); err != nil {
		t.Error(err)
	}
	got.Close()
	if n, err := read.Read(text[:]); n != 1 || err != nil || text[0] != 'y' {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := Descriptor(nil); !errors.Is(err, ErrNone) {
		t.Errorf("nothing came: %v", err)
	}
}
