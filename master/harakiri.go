package master

import (
	"fmt"
	"os"
	"strings"
	"time"

	"envoxyd/internal/shm"
)

// harakiri kills a worker of which one core has been busy past its deadline.
func (g *generation) harakiri(w *worker, now time.Time) {
	late := -1
	for c := range g.board.Cores() {
		core := g.board.Core(w.id, c)
		if core.State.Load() == shm.Busy && (expired(core.Deadline.Load(), now) || expired(core.UserDeadline.Load(), now)) {
			late = c
		}
	}
	if late < 0 {
		return
	}
	w.harakiri++
	logDated("*** HARAKIRI ON WORKER %d (pid: %d, try: 1, graceful: no) ***", w.id, w.pid)
	if g.cfg.HarakiriVerbose {
		logf("HARAKIRI: -- syscall> %s", procText(w.pid, "syscall"))
		logf("HARAKIRI: -- wchan> %s", procText(w.pid, "wchan"))
	}
	logDated("HARAKIRI !!! worker %d status !!!", w.id)
	for c := range g.board.Cores() {
		if core := g.board.Core(w.id, c); core.State.Load() == shm.Busy {
			logDated("HARAKIRI [core %d] %s since %d", c, core.Request(), core.Since.Load()/int64(time.Second))
		}
	}
	logDated("HARAKIRI !!! end of worker %d status !!!", w.id)
	logDated("HARAKIRI triggered by worker %d core %d !!!", w.id, late)
	for c := range g.board.Cores() { // said once
		g.board.Core(w.id, c).Deadline.Store(0)
		g.board.Core(w.id, c).UserDeadline.Store(0)
	}
	_ = w.process.Kill() // it may have ended: exited will hear of it
}

func expired(deadline int64, now time.Time) bool {
	return deadline != 0 && now.UnixNano() >= deadline
}

func procText(pid int, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
