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
	board := m.current.board
	for row := 1; row <= board.Rows(); row++ {
		board.Pause(row, m.pausing.paused)
	}
	for _, s := range m.current.seats() {
		if s.Is(process.Ready, process.Leaving) {
			m.tellPause(s)
		}
	}
	if !m.pausing.paused && m.current.asleep {
		m.stopWatching()
		m.watchForConnections()
	}
}

// tellPause has a worker look whether it is paused. One that is not ready yet would
// be stopped by the signal; it looks by itself when it starts, and again when it is ready.
func (m *master) tellPause(s *seat) {
	if m.pausing.pauses > 0 {
		s.Signal(syscall.SIGTSTP)
	}
}
