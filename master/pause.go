package master

import (
	"syscall"

	"envoxyd/master/process"
)

// togglePause has the workers leave new connections waiting, or take them up again.
func (m *master) togglePause() {
	if m.current == nil {
		return
	}
	m.pausing.paused = !m.pausing.paused
	m.pausing.pauses++
	if m.pausing.paused {
		logf("*** PAUSE (press start to resume, if you do not have a joypad send SIGTSTP) ***")
	} else {
		logf("*** (SIGTSTP received) resuming workers ***")
	}
	for _, w := range m.current.workers {
		m.current.board.Pause(w.ID, m.pausing.paused)
		if w.Is(process.Ready, process.Leaving) {
			m.tellPause(w)
		}
	}
	if !m.pausing.paused && m.current.asleep {
		m.stopWatching()
		m.watchForConnections()
	}
}

// tellPause has a worker look whether it is paused. One that is not ready yet would
// be stopped by the signal; it looks by itself when it starts, and again when it is ready.
func (m *master) tellPause(w *worker) {
	if m.pausing.pauses > 0 {
		w.Signal(syscall.SIGTSTP)
	}
}
