package master

import (
	"time"

	"envoxyd/master/stats"
)

// keptReloads is how many reloads are remembered.
const keptReloads = 20

// history is what the statistics tell of the past.
type history struct {
	ended   stats.Life     // what generations that have ended have counted
	began   time.Time      // the reload that is going on; zero: none is
	reloads []stats.Reload // the oldest comes first
	good    uint64         // reloads
	failed  uint64         // reloads
}

// reloadBegins notes that a reload has begun.
func (h *history) reloadBegins(now time.Time) { h.began = now }

// reloadEnds notes how the reload that is going on, if any, has ended; problem is empty when it has gone well.
func (h *history) reloadEnds(now time.Time, problem string) {
	if h.began.IsZero() {
		return
	}
	if problem == "" {
		h.good++
	} else {
		h.failed++
	}
	h.reloads = append(h.reloads, stats.Reload{At: h.began, Took: now.Sub(h.began), Problem: problem})
	if extra := len(h.reloads) - keptReloads; extra > 0 {
		h.reloads = append(h.reloads[:0:0], h.reloads[extra:]...)
	}
	h.began = time.Time{}
}

// tellHistory fills in what was counted since the instance was started, by all of its generations.
func (m *master) tellHistory(s *stats.Snapshot) {
	life := m.history.ended
	life.Reloads, life.FailedReloads = m.history.good, m.history.failed
	for _, g := range m.generations() {
		g.addTo(&life)
	}
	s.Life = life
	s.Reloads = append(s.Reloads, m.history.reloads...)
}

// addTo adds what the generation's processes have counted so far.
func (g *generation) addTo(life *stats.Life) {
	for row := 1; row <= g.board.Rows(); row++ {
		life.AddRow(g.board, row)
	}
	for _, w := range g.workers {
		life.Harakiris += uint64(w.harakiris)
		life.Respawns += uint64(max(w.Starts()-1, 0))
	}
}
