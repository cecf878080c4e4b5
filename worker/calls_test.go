package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// waiter is a service whose calls last until their context ends.
type waiter struct{ begun chan struct{} }

func (s *waiter) Call(ctx context.Context, _ int, _ []byte, _ func([]byte)) error {
	s.begun <- struct{}{}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *waiter) Close() {}

func TestCallsEndWithTheProcess(t *testing.T) {
	one := &waiter{begun: make(chan struct{})}
	services["waiter"] = one
	defer delete(services, "waiter")
	var count atomic.Uint32
	c := newCalls(&count, -1)
	results := make(chan error)
	for _, core := range []int{-1, 0, 1} {
		go func() { results <- c.call(core, "waiter", 0, nil, nil) }()
		<-one.begun
	}
	if n := count.Load(); n != 3 {
		t.Errorf("%d calls are counted", n)
	}
	c.endFirst(errSignal)
	if err := <-results; !errors.Is(err, errSignal) {
		t.Errorf("core 0's call: %v", err)
	}
	if n := count.Load(); n != 2 {
		t.Errorf("%d calls are left", n)
	}
	go func() { results <- c.call(0, "waiter", 0, nil, nil) }() // the next one has a context of its own
	<-one.begun
	c.end(errEnding)
	for range 3 {
		if err := <-results; !errors.Is(err, errEnding) {
			t.Errorf("%v", err)
		}
	}
	if n := count.Load(); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}
