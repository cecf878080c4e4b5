package process

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/respawn"
)

// State is the state of a place.
type State uint8

// The states of a place.
const (
	Absent   State = iota // there is no process
	Ordered               // the zygote has been told to fork one
	Starting              // it has been forked and is not ready yet
	Ready                 // it works
	Leaving               // it was told to end, or says that it ends
)

// String is the name of the state.
func (s State) String() string {
	return [...]string{"absent", "ordered", "starting", "ready", "leaving"}[s]
}

// transitions are the steps that a place may take.
var transitions = map[State][]State{
	Absent:   {Ordered},
	Ordered:  {Starting, Absent},
	Starting: {Ready, Leaving, Absent},
	Ready:    {Leaving, Absent},
	Leaving:  {Absent},
}

// Place is where a process of one kind and number goes: worker 3. Processes come and go
// in it. Its zero value with Kind and ID is an absent one.
type Place struct {
	Kind    string // "worker"
	Role    string // as workerspec.RoleWorker …
	ID      int    // from 1
	Backoff respawn.Backoff

	occupant
	everReady bool
	starts    int
	beside    bool // of another place, whose processes' successors come up here
}

// occupant is the process in a place, or the one that is awaited there.
type occupant struct {
	Row int // of the scoreboard, that the process writes

	state    State
	process  Process
	started  time.Time
	order    uint64
	deadline time.Time // of the order in hand, or of a leaving process; zero: none
	readyPID int       // said to be ready before it was adopted
	late     bool      // StartLate has said so
}

// State is the state that the place is in.
func (p *Place) State() State { return p.state }

// Is tells whether the place is in one of the states.
func (p *Place) Is(states ...State) bool { return slices.Contains(states, p.state) }

// Process is the process in the place; nil: there is none.
func (p *Place) Process() Process { return p.process }

// PID is the number of the process in the place; 0: there is none.
func (p *Place) PID() int {
	if p.process == nil {
		return 0
	}
	return p.process.PID()
}

// Started is when the process in the place was forked, or the last one was; zero: none was.
func (p *Place) Started() time.Time { return p.started }

// EverReady tells whether a process in this place has been ready.
func (p *Place) EverReady() bool { return p.everReady }

// Starts is how many processes have been in this place.
func (p *Place) Starts() int { return p.starts }

func (p *Place) to(next State) bool {
	if !slices.Contains(transitions[p.state], next) {
		return false
	}
	p.state = next
	return true
}

// Order notes that the zygote was told to fork a process, which has to be there by
// the deadline; false: the place is not empty.
func (p *Place) Order(number uint64, deadline time.Time) bool {
	if !p.to(Ordered) {
		return false
	}
	p.order, p.deadline, p.readyPID = number, deadline, 0
	return true
}

// OrderFailed empties the place after an order that was not carried out; false: that
// order is not in hand.
func (p *Place) OrderFailed(number uint64) bool {
	if !p.Awaits(number) {
		return false
	}
	p.deadline = time.Time{}
	return p.to(Absent)
}

// OrderLate tells whether an order is in hand whose deadline has passed, and which.
func (p *Place) OrderLate(now time.Time) (number uint64, late bool) {
	return p.order, p.state == Ordered && now.After(p.deadline)
}

// Awaits tells whether that order is in hand.
func (p *Place) Awaits(number uint64) bool { return p.state == Ordered && p.order == number }

// OrderInHand is the order that is in hand; false: none is.
func (p *Place) OrderInHand() (number uint64, ok bool) { return p.order, p.state == Ordered }

// Adopt makes a freshly forked process the one in the place; false: none is awaited.
func (p *Place) Adopt(process Process, now time.Time) bool {
	if !p.to(Starting) {
		return false
	}
	p.process, p.started, p.deadline, p.late = process, now, time.Time{}, false
	p.starts++
	return true
}

// MarkReady notes that the process pid says that it is ready. That it was forked may be
// known only later. changed: the process in the place has become ready; first: the
// first one in this place.
func (p *Place) MarkReady(pid int) (changed, first bool) {
	p.readyPID = pid
	return p.ConfirmReady()
}

// ConfirmReady is MarkReady for a process that said so before it was adopted.
func (p *Place) ConfirmReady() (changed, first bool) {
	if p.state != Starting || p.readyPID != p.process.PID() {
		return false, false
	}
	first = !p.everReady
	p.everReady = true
	return p.to(Ready), first
}

// StartLate tells whether the process is not ready although it was forked longer than limit ago. It says so once.
func (p *Place) StartLate(now time.Time, limit time.Duration) bool {
	if p.state != Starting || p.late || now.Sub(p.started) <= limit {
		return false
	}
	p.late = true
	return true
}

// Leave notes that the process was told to end, or says that it ends, and has until the
// deadline for that (zero: as long as it likes); false: there is no process that could.
func (p *Place) Leave(deadline time.Time) bool {
	if p.state == Leaving { // an order on top of its own wish
		if p.deadline.IsZero() {
			p.deadline = deadline
		}
		return true
	}
	if !p.to(Leaving) {
		return false
	}
	p.deadline = deadline
	return true
}

// LeaveLate tells whether the process was to have left by now. It says so once.
func (p *Place) LeaveLate(now time.Time) bool {
	if p.state != Leaving || p.deadline.IsZero() || now.Before(p.deadline) {
		return false
	}
	p.deadline = time.Time{}
	return true
}

// Signal sends the process in the place a signal. That it has ended is no error here: Ended will hear of it.
func (p *Place) Signal(s syscall.Signal) {
	if p.process != nil {
		_ = p.process.Signal(s)
	}
}

// Ended empties the place after the end of its process, which lived for lived and had the
// state was; false: the process is not the one in the place.
func (p *Place) Ended(pid int, now time.Time) (was State, lived time.Duration, ok bool) {
	if p.process == nil || p.process.PID() != pid {
		return p.state, 0, false
	}
	was = p.state
	p.to(Absent)
	p.process, p.deadline, p.readyPID = nil, time.Time{}, 0
	return was, now.Sub(p.started), true
}

// Pause is how long the place stays empty after a process that lived for lived. One that
// left as it should costs nothing.
func (p *Place) Pause(was State, lived time.Duration) time.Duration {
	if was == Leaving {
		p.Backoff.Reset()
		return 0
	}
	return p.Backoff.Ended(lived)
}

// String names the place as the log does.
func (p *Place) String() string { return fmt.Sprintf("%s %d", p.Kind, p.ID) }
