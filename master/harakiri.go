package master

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"envoxyd/internal/logtext"
	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
)

// stackSignal has a worker write its Python stacks to the log (faulthandler). It is a real-time
// signal that neither Go nor any common library takes.
const stackSignal = syscall.Signal(60)

// stackTime is the time that it has for that before it is killed.
const stackTime = 100 * time.Millisecond

// harakiri ends a worker's process of which one core has been busy past its deadline: at once,
// or by a signal first where --harakiri-graceful-timeout leaves it time.
func (g *generation) harakiri(w *worker, s *seat, now time.Time) {
	if !s.harakiriEnd.IsZero() {
		if now.After(s.harakiriEnd) {
			s.harakiriEnd = time.Time{}
			if g.cfg.HarakiriGracefulTimeout > 0 {
				logDated("*** HARAKIRI ON WORKER %d (pid: %d, try: 2, graceful: no) ***", w.ID, s.PID())
			}
			g.killProcess(s)
		}
		return
	}
	late := overdue(g.board, s.Row, monotime.At(now))
	if late < 0 || g.cfg.HarakiriQueueThreshold > longestQueue(g.sockets) {
		return
	}
	w.harakiris++
	graceful := "no"
	if g.cfg.HarakiriGracefulTimeout > 0 {
		graceful = "yes"
	}
	logDated("*** HARAKIRI ON WORKER %d (pid: %d, try: 1, graceful: %s) ***", w.ID, s.PID(), graceful)
	if g.cfg.HarakiriVerbose {
		logf("HARAKIRI: -- syscall> %s", procText(s.PID(), "syscall"))
		logf("HARAKIRI: -- wchan> %s", procText(s.PID(), "wchan"))
		logf("HARAKIRI: -- Python stacks of the threads, the innermost call first:")
		w.Signal(stackSignal)
	}
	logDated("HARAKIRI !!! worker %d status !!!", w.ID)
	for c := range g.board.Cores() {
		if core := g.board.Core(s.Row, c); core.State.Load() == shm.Busy {
			logDated("HARAKIRI [core %d] %s since %d", c, logtext.Safe(core.Request()), monotime.Time(core.Since.Load()).Unix())
		}
	}
	logDated("HARAKIRI !!! end of worker %d status !!!", w.ID)
	logDated("HARAKIRI triggered by worker %d core %d !!!", w.ID, late)
	for c := range g.board.Cores() { // said once
		g.board.Core(s.Row, c).Deadline.Store(0)
		g.board.Core(s.Row, c).UserDeadline.Store(0)
	}
	if g.cfg.HarakiriGracefulTimeout > 0 {
		s.harakiriEnd = now.Add(g.cfg.HarakiriGracefulTimeout)
		s.Signal(syscall.Signal(g.cfg.HarakiriGracefulSignal))
		return
	}
	if !g.cfg.HarakiriVerbose {
		g.killProcess(s)
		return
	}
	s.harakiriEnd = now.Add(stackTime)
}

// overdue is a core of the row that is busy past a deadline; -1: none is. now is by the monotonic clock.
func overdue(board *shm.Board, row int, now int64) int {
	late := -1
	for c := range board.Cores() {
		core := board.Core(row, c)
		if core.State.Load() == shm.Busy && (expired(core.Deadline.Load(), now) || expired(core.UserDeadline.Load(), now)) {
			late = c
		}
	}
	return late
}

func expired(deadline, now int64) bool { return deadline != 0 && now >= deadline }

func procText(pid int, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
