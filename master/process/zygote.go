package process

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/workerspec"
)

// ErrNoZygote is returned for an order that no zygote can carry out.
var ErrNoZygote = errors.New("there is no zygote that could fork")

// ZygoteState is the state of a zygote.
type ZygoteState uint8

// The states of a zygote.
const (
	Loading   ZygoteState = iota // it imports the application
	Serving                      // it forks
	Dismissed                    // it was told to end, and forks what it was told to fork before
	Lost                         // it has ended
)

// String is the name of the state.
func (s ZygoteState) String() string {
	return [...]string{"loading", "serving", "dismissed", "lost"}[s]
}

var zygoteTransitions = map[ZygoteState][]ZygoteState{
	Loading:   {Serving, Dismissed, Lost},
	Serving:   {Dismissed, Lost},
	Dismissed: {Lost},
}

// Orders is the way to a zygote.
type Orders interface {
	// Send sends one order without waiting.
	Send(workerspec.Command) error
	// End says that no more orders come. What has been sent stays; reports still arrive.
	End() error
}

// Zygote is the process that has imported the application and forks others.
type Zygote struct {
	process Process
	orders  Orders
	state   ZygoteState
	number  uint64 // of the last order
}

// NewZygote returns a zygote that has just been started.
func NewZygote(process Process, orders Orders) *Zygote {
	return &Zygote{process: process, orders: orders}
}

// State is the state that the zygote is in.
func (z *Zygote) State() ZygoteState { return z.state }

// Process is the zygote's process.
func (z *Zygote) Process() Process { return z.process }

func (z *Zygote) to(next ZygoteState) bool {
	if !slices.Contains(zygoteTransitions[z.state], next) {
		return false
	}
	z.state = next
	return true
}

// Loaded notes that the application has been imported; false: the zygote is not loading.
func (z *Zygote) Loaded() bool { return z.to(Serving) }

// Fork orders a process for the place, which is empty, to be there by the deadline.
// On an error the place stays as it is.
func (z *Zygote) Fork(place *Place, deadline time.Time) error {
	if z.state != Serving {
		return fmt.Errorf("%v: %w", place, ErrNoZygote)
	}
	z.number++
	if !place.Order(z.number, deadline) {
		return fmt.Errorf("%v is %v: no other process can be started in its place", place, place.State())
	}
	command := workerspec.Command{Kind: workerspec.CommandFork, ID: z.number, Role: place.Role, Worker: place.ID, Row: place.Row, Again: place.Starts() > 0 || place.beside}
	if err := z.orders.Send(command); err != nil {
		place.OrderFailed(z.number)
		return fmt.Errorf("%v: order to the zygote: %w", place, err)
	}
	return nil
}

// Dismiss lets the zygote end when it has done what it was ordered. One that still
// imports the application is told by a signal, too.
func (z *Zygote) Dismiss() {
	before := z.state
	if !z.to(Dismissed) {
		return
	}
	_ = z.orders.End() // it has ended: Ended will hear of it
	if before == Loading {
		_ = z.process.Signal(syscall.SIGTERM)
	}
}

// Terminate ends the zygote soon: it ends what the application has started in it, and goes.
func (z *Zygote) Terminate() {
	if z.state == Lost {
		return
	}
	z.Dismiss()
	_ = z.process.Signal(syscall.SIGTERM) // it has ended: Ended will hear of it
}

// Kill ends the zygote at once.
func (z *Zygote) Kill() {
	if z.state == Lost {
		return
	}
	z.Dismiss()
	_ = z.process.Signal(syscall.SIGKILL) // it has ended: Ended will hear of it
}

// Ended notes the end of the process, and returns the state that the zygote was in.
func (z *Zygote) Ended() (was ZygoteState) {
	was = z.state
	z.to(Lost)
	return was
}
