package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
)

// rig is Workers with a made-up worker, which gets the connections that are handed over.
type rig struct {
	*Workers
	t       *testing.T
	running sync.WaitGroup
	socket  int
}

func newRig(t *testing.T, cores int) *rig {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, socket: fds[0]}
	r.Workers = newWorkers(&r.running)
	r.activate(fds[1], cores)
	t.Cleanup(func() {
		r.target.close()
		r.running.Wait()
		_ = unix.Close(fds[0])
	})
	return r
}

// accept is the worker's end of a connection.
func (r *rig) accept() *os.File {
	r.t.Helper()
	text, control := make([]byte, 1024), make([]byte, scmrights.Room)
	_, n, _, _, err := unix.Recvmsg(r.socket, text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		r.t.Fatal(err)
	}
	fd, err := scmrights.Descriptor(control[:n])
	if err != nil {
		r.t.Fatal(err)
	}
	worker := os.NewFile(uintptr(fd), "worker")
	r.t.Cleanup(func() { worker.Close() })
	return worker
}

func direct(t *testing.T, r *rig) *Direct {
	t.Helper()
	var d *Direct
	r.Direct(t.Context(), nil, gatewayspec.EndsAsHTTP, []byte("vars"), nil, func(begun *Direct) { d = begun })
	if d == nil {
		t.Fatal("it is not possible without waiting")
	}
	return d
}

func twoBytes(got []byte) bool { return len(got) >= 2 }

func readTwo(into *string) func(*bufio.Reader) error {
	return func(in *bufio.Reader) error {
		var text [2]byte
		_, err := io.ReadFull(in, text[:])
		*into = string(text[:])
		return err
	}
}

func say(t *testing.T, worker *os.File, text string) {
	t.Helper()
	if _, err := worker.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func expectPacket(t *testing.T, worker *os.File) {
	t.Helper()
	got := make([]byte, 64)
	if n, err := worker.Read(got); err != nil || !bytes.HasSuffix(got[:n], []byte("vars")) {
		t.Fatalf("%q, %v", got[:n], err)
	}
}

func TestADirectRequestIsAnsweredWithoutWaiting(t *testing.T) {
	r := newRig(t, 1)
	d := direct(t, r)
	worker := r.accept()
	expectPacket(t, worker)
	var got string
	if state, err := d.Take(t.Context(), twoBytes, readTwo(&got)); state != Again || err != nil {
		t.Fatal(state, err)
	}
	later := make(chan *Direct, 1)
	post := func(f func()) bool { go f(); return true }
	r.Direct(t.Context(), post, gatewayspec.EndsAsHTTP, []byte("vars"), nil, func(d *Direct) { later <- d })
	if len(later) > 0 {
		t.Error("more requests than cores")
	}
	say(t, worker, "ok"+string(rune(gatewayspec.Link)))
	if state, err := d.Take(t.Context(), twoBytes, readTwo(&got)); state != Done || err != nil || got != "ok" {
		t.Fatal(state, err, got)
	}
	again := <-later
	if again.FD() != d.FD() {
		t.Error("the connection was not kept")
	}
	expectPacket(t, worker)
	say(t, worker, "o")
	if state, err := again.Take(t.Context(), twoBytes, readTwo(&got)); state != Rest || err != nil {
		t.Fatal(state, err)
	}
	say(t, worker, "k"+string(rune(gatewayspec.Link)))
	if err := again.Finish(t.Context(), readTwo(&got)); err != nil || got != "ok" {
		t.Fatal(err, got)
	}
	eventually(t, func() bool { r.target.lock.Lock(); defer r.target.lock.Unlock(); return len(r.target.idle) == 1 })
	third := direct(t, r) // it was in Go's poller, and is taken out of it
	if third.link.stream != nil {
		t.Error("it is still in Go's poller")
	}
	expectPacket(t, worker)
	say(t, worker, "ok")
	if state, err := third.Take(t.Context(), twoBytes, readTwo(&got)); state != Done || err != nil {
		t.Fatal(state, err)
	}
	worker.Close()
}

func TestADirectRequestWhoseWorkerEnds(t *testing.T) {
	for name, one := range map[string]struct {
		end  func(worker *os.File)
		want error
	}{
		"after it has read": {func(w *os.File) { expectPacket(t, w); w.Close() }, ErrWorkerLost},
		"before":            {func(w *os.File) { w.Close() }, ErrUnread},
		"says so":           {func(w *os.File) { say(t, w, string(rune(gatewayspec.Unread))); expectPacket(t, w) }, ErrUnread},
	} {
		r := newRig(t, 1)
		d := direct(t, r)
		one.end(r.accept())
		if state, err := d.Take(t.Context(), twoBytes, nil); state != Done || !errors.Is(err, one.want) {
			t.Errorf("%s: %d, %v", name, state, err)
		}
		next := direct(t, r) // its place is free again
		next.target.release(t.Context(), next.link, context.Canceled)
	}
}

func TestADirectRequestOverAConnectionThatWasClosed(t *testing.T) {
	r := newRig(t, 1)
	d := direct(t, r)
	worker := r.accept()
	expectPacket(t, worker)
	say(t, worker, "ok"+string(rune(gatewayspec.Link)))
	var got string
	if state, err := d.Take(t.Context(), twoBytes, readTwo(&got)); state != Done || err != nil {
		t.Fatal(state, err)
	}
	worker.Close()
	next := direct(t, r) // over a new one
	expectPacket(t, r.accept())
	next.target.release(t.Context(), next.link, context.Canceled)
}

func TestWithoutWorkersNothingIsDirect(t *testing.T) {
	none, one := newWorkers(&sync.WaitGroup{}), newRig(t, 1)
	for name, c := range map[string]struct {
		w    *Workers
		vars []byte
	}{
		"where to?": {none, nil}, "a packet that the socket may not take whole": {one.Workers, make([]byte, inlinePacket+1)},
		"variables that the header cannot tell": {one.Workers, make([]byte, 1<<16)},
	} {
		told := false
		c.w.Direct(t.Context(), nil, 0, c.vars, nil, func(d *Direct) { told = d == nil })
		if !told {
			t.Error(name)
		}
	}
	waits := direct(t, one)
	told := make(chan *Direct, 1)
	one.Direct(t.Context(), func(f func()) bool { f(); return true }, 0, nil, nil, func(d *Direct) { told <- d })
	one.target.close() // the generation leaves
	if d := <-told; d != nil {
		t.Error("it was begun with a generation that leaves")
	}
	waits.target.release(t.Context(), waits.link, context.Canceled)
	one.target = newTarget(one.socket, 1, &one.running) // for the cleanup
}
