package master

import (
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/workerspec"
)

// A worker that is to be killed gives its calls to servers up before, or a query would go on there.
const (
	callsTime = time.Second
	callsPoll = 10 * time.Millisecond
)

// killProcess kills the process in a seat, at once if it has no calls in flight.
func (g *generation) killProcess(s *seat) {
	if s.PID() == 0 {
		return
	}
	if g.board.Core(s.Row, 0).Calls.Load() != 0 {
		s.Signal(workerspec.EndCalls)
	}
	g.killWhenCallsEnd(s.PID(), g.m.sys.now().Add(callsTime))
}

func (g *generation) killWhenCallsEnd(pid int, limit time.Time) {
	at := slices.IndexFunc(g.seats(), func(s *seat) bool { return s.PID() == pid })
	if at < 0 { // it has ended; so may have the scoreboard
		return
	}
	s := g.seats()[at]
	if g.board.Core(s.Row, 0).Calls.Load() == 0 || g.m.sys.now().After(limit) {
		s.Signal(syscall.SIGKILL)
		return
	}
	g.m.after(callsPoll, func(*master) { g.killWhenCallsEnd(pid, limit) })
}
