package worker

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"envoxyd/modules/postgres/pool"
)

// Why calls of services end before they are done.
var (
	errKilled = errors.New("the worker is killed")
	errEnding = errors.New("the worker ends")
	errSignal = errors.New("a signal handler has raised an exception")
)

// killWait is how long a thread whose call has ended for that waits to be killed.
const killWait = 5 * time.Second

// calls are the process's calls of services. Their contexts end with the process: servers are
// told, and do not go on with what nobody waits for.
type calls struct {
	all    context.Context
	end    context.CancelCauseFunc
	count  *atomic.Uint32 // in flight; the master reads it
	wakeup int            // readable when a signal is there for Python

	// of core 0, which runs signal handlers; another one is made when it has ended
	first    context.Context
	endFirst context.CancelCauseFunc
}

func newCalls(count *atomic.Uint32, wakeup int) *calls {
	c := &calls{count: count, wakeup: wakeup}
	c.all, c.end = context.WithCancelCause(context.Background())
	return c
}

// call is one call from Python. core is the core whose request makes it; -1: none.
func (c *calls) call(core int, name string, operation int, payload []byte, deliver func([]byte)) error {
	ctx := c.all
	if core == 0 {
		ctx = c.ofFirst()
	}
	c.count.Add(1)
	err := callService(ctx, name, operation, payload, deliver)
	c.count.Add(^uint32(0))
	if errors.Is(context.Cause(c.all), errKilled) { // or the application would go on to another request
		time.Sleep(killWait)
	}
	return err
}

// ofFirst is the context of core 0's calls. Only its thread may ask for it.
func (c *calls) ofFirst() context.Context {
	if c.first == nil || c.first.Err() != nil {
		c.first, c.endFirst = context.WithCancelCause(c.all)
		c.first = pool.WithInterrupt(c.first, &pool.Interrupt{FD: c.wakeup, Handle: c.runSignalHandlers})
	}
	return c.first
}

// runSignalHandlers lets Python run them while its thread waits in a call. One that raises ends the call.
func (c *calls) runSignalHandlers() bool {
	var numbers [64]byte
	_, _ = syscall.Read(c.wakeup, numbers[:]) // EAGAIN: read before
	if C.envoxyd_run_signal_handlers() == 0 {
		return false
	}
	c.endFirst(errSignal)
	return true
}
