package worker

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
)

// logPipe is a worker whose lines go into a pipe of one page, and what has arrived there.
func logPipe(t *testing.T) (w *Worker, fd int, arrived func() string) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[0]); unix.Close(ends[1]) })
	if _, err := unix.FcntlInt(uintptr(ends[0]), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		t.Fatal(err)
	}
	return &Worker{started: monotime.Now()}, ends[1], func() string {
		buffer := make([]byte, 1<<16)
		n, err := syscall.Read(ends[0], buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestALineOfWhichOnlyTheBeginningFitsIsLostAndRemembered(t *testing.T) {
	w, fd, arrived := logPipe(t)
	long := []byte(strings.Repeat("x", 2*os.Getpagesize()) + "\n")
	if w.writeWhole(fd, long) || !w.tornLine.Load() || syscall.Errno(w.lostWhy.Load()) != syscall.EAGAIN {
		t.Fatalf("torn %v, %d", w.tornLine.Load(), w.lostWhy.Load())
	}
	arrived()
	if !w.writeWhole(fd, []byte("whole\n")) || arrived() != "whole\n" {
		t.Fatal("a line that fits was not written")
	}
}

func TestWhatRepeatsIsToldOnceASecond(t *testing.T) {
	w := &Worker{started: monotime.Now() - int64(time.Hour)}
	var limit logLimit
	told := func() bool {
		held := limit.held.Load()
		w.logLimited(&limit, "")
		return limit.held.Load() != held+1
	}
	if !told() || told() || told() {
		t.Fatal("not the first alone was told")
	}
	w.started -= int64(time.Second) // as if a second had passed
	if !told() || limit.held.Load() != 0 || told() {
		t.Fatal("it was not told again after a second, with how often it had come")
	}
}
