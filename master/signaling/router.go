package signaling

import (
	"bytes"
	"errors"
	"fmt"
)

// Numbers is how many signals there are.
const Numbers = 256

// ErrFull is returned by Queues.Send where there is no room at the moment.
var ErrFull = errors.New("the queue is full")

// Queues is where signals wait for the processes that handle them.
type Queues interface {
	// Send puts a signal into a queue without waiting; ErrFull: not now.
	Send(queue string, signal byte) error
}

// backlog is how many signals the master holds for a queue that is full; more are lost, and the log says so.
const backlog = 1 << 16

// Router knows who handles which signal, and passes signals on. It is for one goroutine.
type Router struct {
	queues  Queues
	waiting map[string][]byte // of queues that were full, in order
	Routed  uint64            // signals that were passed on
	Lost    uint64            // those that were not: nobody is there, or too many are waiting
}

// NewRouter returns a router to these queues.
func NewRouter(queues Queues) *Router { return &Router{queues: queues, waiting: map[string][]byte{}} }

// Targets are the targets that signals were registered for. One that was not goes to the first worker, which says that it has
// nothing to do for it.
type Targets [Numbers]string

// Route passes a signal on to all queues that its target means. The error says who does not get it; the others do.
func (r *Router) Route(signal byte, target string, fleet Fleet) error {
	return r.route(signal, target, fleet, false)
}

// Tick is Route for a signal that is raised again and again by itself: where one waits for room already, another one
// would say nothing new.
func (r *Router) Tick(signal byte, target string, fleet Fleet) error {
	return r.route(signal, target, fleet, true)
}

func (r *Router) route(signal byte, target string, fleet Fleet, tick bool) error {
	queues, err := fleet.Queues(target)
	if err != nil {
		r.Lost++
		return err
	}
	var errs []error
	for _, queue := range queues {
		if tick && bytes.IndexByte(r.waiting[queue], signal) >= 0 {
			continue
		}
		if err := r.send(queue, signal); err != nil {
			r.Lost++
			errs = append(errs, fmt.Errorf("signal %d to %s: %w", signal, queue, err))
		}
	}
	if len(errs) == 0 {
		r.Routed++
	}
	return errors.Join(errs...)
}

// send keeps the order: nothing overtakes what is waiting.
func (r *Router) send(queue string, signal byte) error {
	if len(r.waiting[queue]) == 0 {
		if err := r.queues.Send(queue, signal); !errors.Is(err, ErrFull) {
			return err
		}
	}
	if len(r.waiting[queue]) >= backlog {
		return ErrFull
	}
	r.waiting[queue] = append(r.waiting[queue], signal)
	return nil
}

// Flush passes on what has been waiting for room. An error says which queue has taken its signals and is no more.
func (r *Router) Flush() error {
	var errs []error
	for queue, signals := range r.waiting {
		for len(signals) > 0 {
			err := r.queues.Send(queue, signals[0])
			if errors.Is(err, ErrFull) {
				break
			}
			if err != nil {
				r.Lost++
				errs = append(errs, fmt.Errorf("signal %d to %s: %w", signals[0], queue, err))
			}
			signals = signals[1:]
		}
		if r.waiting[queue] = signals; len(signals) == 0 {
			delete(r.waiting, queue)
		}
	}
	return errors.Join(errs...)
}

// Waiting is how many signals wait for room.
func (r *Router) Waiting() (n int) {
	for _, signals := range r.waiting {
		n += len(signals)
	}
	return n
}
