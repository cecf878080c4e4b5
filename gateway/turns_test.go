package gateway

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
)

// linked is a connection and the worker's end of it.
func linked(t *testing.T) (*link, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	worker := os.NewFile(uintptr(fds[1]), "worker")
	t.Cleanup(func() { worker.Close() })
	return newLink(fds[0]), worker
}

func closed(t *testing.T, worker *os.File) bool {
	t.Helper()
	_, err := worker.Write([]byte("x"))
	return errors.Is(err, unix.EPIPE)
}

func TestTurnsGiveTheConnectionThatWasUsedLast(t *testing.T) {
	turns := turns{most: 2}
	first, _ := linked(t)
	second, _ := linked(t)
	for range 2 {
		if l, err := turns.take(t.Context()); l != nil || err != nil {
			t.Fatal(l, err)
		}
	}
	turns.give(first)
	turns.give(second)
	if l, _ := turns.take(t.Context()); l != second {
		t.Fatal("the one used before was taken")
	}
	if l, _ := turns.take(t.Context()); l != first {
		t.Fatal("an idle connection was left")
	}
}

func TestTurnsAreWaitedForInOrder(t *testing.T) {
	turns := turns{most: 1, over: func() {}}
	if _, err := turns.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	order := make(chan int)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			l, err := turns.take(t.Context())
			if err != nil {
				t.Error(err)
			}
			order <- i
			turns.give(l)
		})
		eventually(t, func() bool { turns.lock.Lock(); defer turns.lock.Unlock(); return len(turns.waiting) == i+1 })
	}
	turns.give(nil)
	if a, b := <-order, <-order; a != 0 || b != 1 {
		t.Fatal(a, b)
	}
	all.Wait()
	if turns.out != 0 {
		t.Fatal(turns.out, "turns are lost")
	}
}

func TestWaitingForATurnEnds(t *testing.T) {
	for name, end := range map[string]func(turns *turns, cancel func()){
		"context": func(_ *turns, cancel func()) { cancel() },
		"reload":  func(turns *turns, _ func()) { turns.end() },
	} {
		turns := turns{most: 1, over: func() {}}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := turns.take(ctx); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			_, err := turns.take(ctx)
			failed <- err
		}()
		eventually(t, func() bool { turns.lock.Lock(); defer turns.lock.Unlock(); return len(turns.waiting) == 1 })
		end(&turns, cancel)
		if err := <-failed; !errors.Is(err, errNotHanded) && !errors.Is(err, context.Canceled) {
			t.Fatal(name, err)
		}
		turns.give(nil)
		if turns.out != 0 || len(turns.waiting) != 0 {
			t.Fatal(name, "a turn is lost")
		}
		cancel()
	}
}

func TestConnectionsAreKeptIfTheWorkerSaysSo(t *testing.T) {
	for name, one := range map[string]struct {
		behind   string
		kept     bool
		deferred bool // what is behind the answer comes after it has been taken
	}{
		"kept":           {string(rune(gatewayspec.Link)), true, false},
		"kept later":     {string(rune(gatewayspec.Link)), true, true},
		"another byte":   {"x", false, false},
		"more than that": {string(rune(gatewayspec.Link)) + "x", false, false},
		"closed":         {"", false, true},
	} {
		var running sync.WaitGroup
		turns := turns{most: 1, running: &running}
		if _, err := turns.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, worker := linked(t)
		answer := "."
		if !one.deferred {
			answer += one.behind
		}
		if _, err := worker.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		err := l.exchange(t.Context(), []byte("request"), func(r *bufio.Reader) error {
			_, err := r.ReadByte()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		turns.settle(t.Context(), l, nil)
		if one.deferred {
			if one.behind != "" {
				_, err = worker.WriteString(one.behind)
			} else {
				err = worker.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		running.Wait()
		if kept := len(turns.idle) == 1; kept != one.kept || turns.out != 0 {
			t.Errorf("%s: kept: %v, turns taken: %d", name, kept, turns.out)
		}
	}
}

func TestConnectionsEndWithTheGeneration(t *testing.T) {
	over := 0
	turns := turns{most: 2, over: func() { over++ }}
	for range 2 {
		if _, err := turns.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	idle, first := linked(t)
	busy, second := linked(t)
	turns.give(idle)
	turns.end()
	if !closed(t, first) || closed(t, second) || over != 0 {
		t.Fatal("only what is idle is closed")
	}
	turns.give(busy)
	if !closed(t, second) || over != 1 {
		t.Fatal("it is kept after the end")
	}
	if _, err := turns.take(t.Context()); !errors.Is(err, errNotHanded) {
		t.Fatal("there is a turn after the end:", err)
	}
}

func TestAPacketThatWasNotReadIsToldFromOneThatWas(t *testing.T) {
	take := func(r *bufio.Reader) error { _, err := r.ReadByte(); return err }
	l, worker := linked(t)
	worker.Close()
	if err := l.exchange(t.Context(), []byte("request"), take); !errors.Is(err, errUnread) {
		t.Error("closed before the request:", err)
	}
	l, worker = linked(t)
	if err := l.send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	worker.Close()
	if err := l.receive(take); !errors.Is(err, errUnread) || !errors.Is(err, errNotHanded) {
		t.Error("closed with the request unread:", err)
	}
	l, worker = linked(t)
	if err := l.send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Write([]byte{gatewayspec.Unread}); err != nil {
		t.Fatal(err)
	}
	if err := l.receive(take); !errors.Is(err, errUnread) {
		t.Error("said to be unread:", err)
	}
	l, worker = linked(t)
	if err := l.send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(worker, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	worker.Close()
	if err := l.receive(take); !errors.Is(err, errWorkerLost) {
		t.Error("closed after the request was read:", err)
	}
}

func TestALargeRequestIsSentWhole(t *testing.T) {
	l, worker := linked(t)
	request := bytes.Repeat([]byte("x"), 4<<20)
	got := make(chan []byte)
	go func() {
		data := make([]byte, len(request))
		_, _ = io.ReadFull(worker, data)
		_, _ = worker.WriteString(".")
		got <- data
	}()
	if err := l.exchange(t.Context(), request, func(r *bufio.Reader) error { _, err := r.ReadByte(); return err }); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, request) {
		t.Fatal("it is another")
	}
}
