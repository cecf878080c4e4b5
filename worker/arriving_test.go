package worker

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

func readableNow(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n == 1
}

func newTestArriving(t *testing.T) *arriving {
	t.Helper()
	a, err := newArriving()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArrivingTellsWhenThereIsSomethingToSay(t *testing.T) {
	a := newTestArriving(t)
	if _, state := a.read(); state != arrivedWait || readableNow(a.fd) {
		t.Fatalf("of nothing: state %d, readable %v", state, readableNow(a.fd))
	}
	_, _ = a.Write([]byte("one"))
	if !readableNow(a.fd) {
		t.Fatal("something has come, and the descriptor does not say so")
	}
	if piece, state := a.read(); string(piece) != "one" || state != arrivedSome {
		t.Fatalf("%q, state %d", piece, state)
	}
	if _, state := a.read(); state != arrivedWait || readableNow(a.fd) {
		t.Fatalf("all was read: state %d, readable %v", state, readableNow(a.fd))
	}
	a.finish([]byte("next"), nil)
	if !readableNow(a.fd) {
		t.Fatal("the end does not make the descriptor readable")
	}
	if piece, state := a.read(); len(piece) != 0 || state != arrivedLast {
		t.Fatalf("at the end: %q, state %d", piece, state)
	}
	if rest, whole := a.leave(); string(rest) != "next" || !whole {
		t.Fatalf("rest %q, whole %v", rest, whole)
	}
}

func TestArrivingGivesWhatHasComeBeforeAFailure(t *testing.T) {
	a := newTestArriving(t)
	_, _ = a.Write([]byte("one"))
	a.finish(nil, io.ErrUnexpectedEOF)
	if piece, state := a.read(); string(piece) != "one" || state != arrivedSome {
		t.Fatalf("%q, state %d", piece, state)
	}
	if _, state := a.read(); state != arrivedGone {
		t.Fatalf("state %d", state)
	}
	if _, whole := a.leave(); whole {
		t.Fatal("a body that failed is not whole")
	}
}

func TestArrivingHoldsItsWriterBack(t *testing.T) {
	a := newTestArriving(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	done := make(chan error, 1)
	go func() {
		for rest := data; len(rest) > 0; rest = rest[min(len(rest), 10_000):] {
			if _, err := a.Write(rest[:min(len(rest), 10_000)]); err != nil {
				done <- err
				return
			}
		}
		a.finish(nil, nil)
		done <- nil
	}()
	var got []byte
	for {
		piece, state := a.read()
		if len(piece) > arrivingPiece {
			t.Fatalf("%d bytes at once", len(piece))
		}
		got = append(got, piece...)
		if state == arrivedLast {
			break
		}
		if state == arrivedWait {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}, 5000); err != nil && !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
		}
		a.mu.Lock()
		held := len(a.data)
		a.mu.Unlock()
		if held >= arrivingMost+10_000 {
			t.Fatalf("%d bytes are held", held)
		}
	}
	if err := <-done; err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%v, %d bytes", err, len(got))
	}
}

func TestArrivingLetsItsWriterGo(t *testing.T) {
	a := newTestArriving(t)
	_, _ = a.Write(make([]byte, arrivingMost))
	done := make(chan error)
	go func() {
		_, err := a.Write([]byte("more"))
		done <- err
	}()
	a.leave()
	if err := <-done; !errors.Is(err, errLeft) {
		t.Fatalf("a write that nobody will read: %v", err)
	}
	a.finish(nil, errLeft) // the descriptor is closed: nothing is written to it
}
