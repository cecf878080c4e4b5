package master

import (
	"time"

	"envoxyd/internal/shm"
	"envoxyd/master/process"
)

// What a sweep looks at is looked at this often: closely while anything has a deadline, slowly while all processes
// are ready and have nothing to do. Hundreds of idle instances on a machine are not to keep it awake.
const (
	tick     = 250 * time.Millisecond
	slowTick = time.Second
)

// pace is the timer of the sweeps.
type pace struct {
	*time.Timer
	every time.Duration
	last  time.Time // when it fired
}

func newPace() *pace { return &pace{time.NewTimer(tick), tick, time.Now()} }

// fired sets the timer for the next sweep.
func (p *pace) fired(now time.Time) {
	p.last = now
	p.Reset(p.every)
}

// follow sets the timer to what the state asks for. However often that changes, the next sweep is not put off: the time counts
// from the last one.
func (p *pace) follow(m *master) {
	every := tick
	if m.calm() {
		every = slowTick
	}
	if every != p.every {
		p.every = every
		p.Reset(time.Until(p.last.Add(every)))
	}
}

// calm: nothing has a deadline that a slow sweep would find too late. Those of requests and jobs that begin after it are not
// shorter than slowTick, and the sweep that finds them in hand makes the next ones close.
func (m *master) calm() bool {
	if m.life.starting || m.life.stopping || m.life.upgraded || m.current == nil || m.next != nil || len(m.old) > 0 ||
		m.reloads.preparing || m.upgrader.busy || m.lostZygote() ||
		m.cfg.Heartbeat > 0 && m.cfg.Heartbeat < 2*slowTick || !m.jobs.daemons.Gone() {
		return false
	}
	for _, a := range m.current.auxiliaries {
		if !a.Is(process.Ready, process.Absent) || m.current.lines.Line(a.Row).Deadline.Load() != 0 {
			return false
		}
	}
	for _, w := range m.current.workers {
		for _, s := range w.seats() {
			if !s.Is(process.Ready, process.Absent) {
				return false
			}
			for c := range m.current.board.Cores() { // its request may have a deadline of its own
				if s.Process() != nil && m.current.board.Core(s.Row, c).State.Load() == shm.Busy {
					return false
				}
			}
		}
	}
	return true
}
