// Package cheaper decides how many workers there are to be (--cheaper). It knows
// no processes and no clock: once a second it is shown a Situation, and says who
// is to start and who may go.
package cheaper

import (
	"slices"
	"time"
)

// State is what a worker's place is at.
type State uint8

// States of workers.
const (
	Cheap    State = iota // without a process, on purpose
	Starting              // it is to have a process that does not serve yet
	Idle
	Busy // at least one core is in a request
)

// Worker is one worker's place in a Situation.
type Worker struct {
	ID         int
	State      State
	Started    time.Time     // of its process
	InRequests time.Duration // spent in requests since ever, that in hand included
}

// Situation is all that a decision depends on, beside what the policy remembers.
type Situation struct {
	Now     time.Time
	Workers []Worker
	Queue   int   // connections that wait on the fullest listening socket
	RSS     int64 // resident memory of all workers, bytes; 0: not measured
}

// count is how many workers are in one of the states.
func (s *Situation) count(states ...State) (n int) {
	for _, w := range s.Workers {
		if slices.Contains(states, w.State) {
			n++
		}
	}
	return n
}

// active is how many workers are not cheap.
func (s *Situation) active() int { return len(s.Workers) - s.count(Cheap) }

// Policy is a way of choosing the number of workers.
type Policy interface {
	// Poll is called once a second. It answers how many workers more (or, below
	// zero, fewer) there should be, and what is worth a line in the log, if anything.
	Poll(s *Situation) (change int, note string)
}

// Limits bound every decision.
type Limits struct {
	Least   int   // workers to keep
	RSSSoft int64 // bytes from which on none is added; 0: no limit
	RSSHard int64 // bytes from which on one goes at each poll; 0: no limit
}

// Bound applies the limits of memory to what a policy has answered.
func (l Limits) Bound(s *Situation, change int) int {
	switch {
	case l.RSSSoft <= 0 || s.RSS < l.RSSSoft:
		return change
	case l.RSSHard > 0 && s.RSS >= l.RSSHard:
		return -1
	}
	return min(change, 0)
}

// Choose turns a change into workers: cheap ones to start, lowest number first, or
// idle ones that may go, the longest serving first. Fewer than asked for are found
// where all run, too many are busy, or the least number is reached.
func (l Limits) Choose(s *Situation, change int) (start, stop []int) {
	if change < 0 {
		return nil, oldestIdle(s, min(-change, s.active()-l.Least))
	}
	for _, w := range s.Workers {
		if w.State == Cheap && len(start) < change {
			start = append(start, w.ID)
		}
	}
	return start, nil
}

func oldestIdle(s *Situation, most int) (ids []int) {
	var idle []Worker
	for _, w := range s.Workers {
		if w.State == Idle {
			idle = append(idle, w)
		}
	}
	slices.SortStableFunc(idle, func(a, b Worker) int { return a.Started.Compare(b.Started) })
	for _, w := range idle[:min(max(most, 0), len(idle))] {
		ids = append(ids, w.ID)
	}
	return ids
}

// Settings are what policies can be told.
type Settings struct {
	Least    int // --cheaper
	Step     int // --cheaper-step: workers to add at once
	Overload int // --cheaper-overload: seconds; for backlog, connections
	Idle     int // --cheaper-idle: seconds
	Busyness BusynessSettings
}

// New makes the policy of that name; false: there is none, and spare stands in for it.
func New(name string, s Settings) (Policy, bool) {
	s.Step, s.Overload = max(s.Step, 1), max(s.Overload, 1)
	switch name {
	case "", "spare":
		return &spare{settings: s}, true
	case "spare2":
		return &spare2{settings: s}, true
	case "backlog":
		return backlog{s}, true
	case "busyness":
		return newBusyness(s), true
	case "manual":
		return manual{}, true
	}
	return &spare{settings: s}, false
}
