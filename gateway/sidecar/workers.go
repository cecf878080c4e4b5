package sidecar

import (
	"bufio"
	"context"
	"errors"
	"sync"
)

// maxAttempts is how often a request that no worker has seen is tried.
const maxAttempts = 5

// Workers is where requests go: the workers of the serving generation.
type Workers struct {
	running *sync.WaitGroup
	mu      sync.Mutex
	changed sync.Cond
	target  *Target
}

func newWorkers(running *sync.WaitGroup) *Workers {
	w := &Workers{running: running}
	w.changed.L = &w.mu
	return w
}

// activate has requests go to the generation behind the handover socket, which it owns.
func (w *Workers) activate(handover, cores int) {
	w.mu.Lock()
	old := w.target
	w.target = newTarget(handover, cores, w.running)
	w.mu.Unlock()
	w.changed.Broadcast()
	if old != nil {
		old.close()
	}
}

// wake has those that wait look at their contexts.
func (w *Workers) wake() { w.changed.Broadcast() }

// Await returns the generation that requests go to, once there is one; nil: the context has ended.
func (w *Workers) Await(ctx context.Context) *Target {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.target == nil && ctx.Err() == nil {
		w.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil
	}
	return w.target
}

// Deliver has some worker of the serving generation answer a request. What no worker has
// seen, because of a reload or because it ended, is given to another.
func (w *Workers) Deliver(ctx context.Context, ends byte, vars, body []byte, read func(*bufio.Reader) error) error {
	for attempt := 1; ; attempt++ {
		t := w.Await(ctx)
		if t == nil {
			return ErrNotHanded
		}
		err := t.Deliver(ctx, ends, vars, body, read)
		if !errors.Is(err, ErrNotHanded) || attempt == maxAttempts {
			return err
		}
	}
}
