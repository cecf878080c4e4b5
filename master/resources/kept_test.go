package resources

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMessagesWaitOverAnUpgrade(t *testing.T) {
	first := NewKept(func(string) int { return -1 })
	defer first.Close()
	_, in, err := first.Pipe("mule 1", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	bell, err := first.Bell("spooler")
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := first.Pipe("mule 1", 1<<16); err != nil || again != in {
		t.Errorf("the pipe was made twice: %v", err)
	}
	for _, text := range []string{"one", "two"} {
		if _, err := in.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bell.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	passed := first.Passed()
	next := NewKept(func(key string) int {
		fd, ok := passed[key]
		if !ok {
			return -1
		}
		if fd, err = unix.Dup(fd); err != nil {
			t.Fatal(err)
		}
		return fd
	})
	defer next.Close()
	out, _, err := next.Pipe("mule 1", 0)
	if err != nil {
		t.Fatal(err)
	}
	var buffer [8]byte
	for _, want := range []string{"one", "two"} {
		if n, err := unix.Read(int(out.Fd()), buffer[:]); err != nil || string(buffer[:n]) != want {
			t.Errorf("read %q, %v; want %q", buffer[:n], err, want)
		}
	}
	if bell, err = next.Bell("spooler"); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(int(bell.Fd()), buffer[:]); n != 8 || err != nil {
		t.Errorf("the bell has not rung: %d, %v", n, err)
	}
}

func TestHalfAPipeIsMadeAnew(t *testing.T) {
	kept := NewKept(func(key string) int {
		if key != keptPrefix+"farm/out" {
			return -1
		}
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	})
	defer kept.Close()
	out, in, err := kept.Pipe("farm", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.WriteString("message"); err != nil {
		t.Fatal(err)
	}
	var buffer [16]byte
	if n, err := unix.Read(int(out.Fd()), buffer[:]); err != nil || string(buffer[:n]) != "message" {
		t.Errorf("read %q, %v", buffer[:n], err)
	}
}

// What processes send each other through these files is not for the master: it must not wake for it.
func TestKeptFilesDoNotWakeTheMaster(t *testing.T) {
	k := NewKept(func(string) int { return -1 })
	defer k.Close()
	bell, err := k.Bell("bell")
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := k.Pipe("pipe", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []*os.File{bell, out, in} {
		if err := file.SetReadDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("%s is watched by Go's poller (%v)", file.Name(), err)
		}
		if flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s makes its users wait (%v)", file.Name(), err)
		}
	}
}
