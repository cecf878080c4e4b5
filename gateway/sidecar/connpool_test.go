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
	"time"

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
	pool := connPool{limit: 2}
	first, _ := linked(t)
	second, _ := linked(t)
	for range 2 {
		if l, err := pool.take(t.Context()); l != nil || err != nil {
			t.Fatal(l, err)
		}
	}
	pool.put(first)
	pool.put(second)
	if l, _ := pool.take(t.Context()); l != second {
		t.Fatal("the one used before was taken")
	}
	if l, _ := pool.take(t.Context()); l != first {
		t.Fatal("an idle connection was left")
	}
}

func TestTurnsAreWaitedForInOrder(t *testing.T) {
	pool := connPool{limit: 1, onClosed: func() {}}
	if _, err := pool.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	order := make(chan int)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			l, err := pool.take(t.Context())
			if err != nil {
				t.Error(err)
			}
			order <- i
			pool.put(l)
		})
		eventually(t, func() bool { pool.lock.Lock(); defer pool.lock.Unlock(); return len(pool.waiting) == i+1 })
	}
	pool.put(nil)
	if a, b := <-order, <-order; a != 0 || b != 1 {
		t.Fatal(a, b)
	}
	all.Wait()
	if pool.inUse != 0 {
		t.Fatal(pool.inUse, "requests are still counted")
	}
}

func TestWaitingForATurnEnds(t *testing.T) {
	for name, end := range map[string]func(pool *connPool, cancel func()){
		"context": func(_ *connPool, cancel func()) { cancel() },
		"reload":  func(pool *connPool, _ func()) { pool.close() },
	} {
		pool := connPool{limit: 1, onClosed: func() {}}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := pool.take(ctx); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			_, err := pool.take(ctx)
			failed <- err
		}()
		eventually(t, func() bool { pool.lock.Lock(); defer pool.lock.Unlock(); return len(pool.waiting) == 1 })
		end(&pool, cancel)
		if err := <-failed; !errors.Is(err, ErrNotHanded) && !errors.Is(err, context.Canceled) {
			t.Fatal(name, err)
		}
		pool.put(nil)
		if pool.inUse != 0 || len(pool.waiting) != 0 {
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
		pool := connPool{limit: 1, running: &running}
		if _, err := pool.take(t.Context()); err != nil {
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
		pool.release(t.Context(), l, nil)
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
		if kept := len(pool.idle) == 1; kept != one.kept || pool.inUse != 0 {
			t.Errorf("%s: kept: %v, in flight: %d", name, kept, pool.inUse)
		}
	}
}

func TestConnectionsEndWithTheGeneration(t *testing.T) {
	over := 0
	pool := connPool{limit: 2, onClosed: func() { over++ }}
	for range 2 {
		if _, err := pool.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	idle, first := linked(t)
	busy, second := linked(t)
	pool.put(idle)
	pool.close()
	if !closed(t, first) || closed(t, second) || over != 0 {
		t.Fatal("only what is idle is closed")
	}
	pool.put(busy)
	if !closed(t, second) || over != 1 {
		t.Fatal("it is kept after the end")
	}
	if _, err := pool.take(t.Context()); !errors.Is(err, ErrNotHanded) {
		t.Fatal("there is a turn after the end:", err)
	}
}

func TestAPacketThatWasNotReadIsToldFromOneThatWas(t *testing.T) {
	take := func(r *bufio.Reader) error { _, err := r.ReadByte(); return err }
	l, worker := linked(t)
	worker.Close()
	if err := l.exchange(t.Context(), []byte("request"), take); !errors.Is(err, ErrUnread) {
		t.Error("closed before the request:", err)
	}
	l, worker = linked(t)
	if err := l.send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	worker.Close()
	if err := l.receive(take); !errors.Is(err, ErrUnread) || !errors.Is(err, ErrNotHanded) {
		t.Error("closed with the request unread:", err)
	}
	l, worker = linked(t)
	if err := l.send([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Write([]byte{gatewayspec.Unread}); err != nil {
		t.Fatal(err)
	}
	if err := l.receive(take); !errors.Is(err, ErrUnread) {
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
	if err := l.receive(take); !errors.Is(err, ErrWorkerLost) {
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

// eventually waits until the condition holds.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

func TestAPacketIsNeverLargerThanItsHeaderSays(t *testing.T) {
	if err := new(Target).Deliver(t.Context(), 0, make([]byte, 1<<16), nil, nil); !errors.Is(err, ErrVars) {
		t.Error(err)
	}
}
