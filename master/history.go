package master

import (
	"fmt"
	"time"

	"envoxyd/internal/shm"
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

	auxiliaries map[string]stats.AuxiliaryHistory // of generations that have ended, by auxiliaryKey
	inherited   []*shm.Board                      // of the master before an upgrade, whose processes may still write
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
	for _, board := range m.history.inherited {
		addBoard(&life, board)
	}
	for _, g := range m.generations() {
		g.addTo(&life)
	}
	s.Life = life
	s.Reloads = append(s.Reloads, m.history.reloads...)
}

// generationEnds keeps what a generation has counted.
func (h *history) generationEnds(g *generation) {
	g.addTo(&h.ended)
	if h.auxiliaries == nil {
		h.auxiliaries = map[string]stats.AuxiliaryHistory{}
	}
	g.addAuxiliaries(h.auxiliaries)
}

// auxiliaryKey is what a mule or a spooler's process is found by again in another generation.
func (a *auxiliary) auxiliaryKey() string { return fmt.Sprintf("%s %d %s", a.Kind, a.ID, a.dir) }

// addAuxiliaries adds what the generation's mules and spoolers have counted so far.
func (g *generation) addAuxiliaries(to map[string]stats.AuxiliaryHistory) {
	for _, a := range g.auxiliaries {
		sum := to[a.auxiliaryKey()]
		sum.Tasks += uint64(g.lines.Line(a.Row).Tasks.Load())
		sum.Respawns += uint64(max(a.Starts()-1, 0))
		to[a.auxiliaryKey()] = sum
	}
}

// addTo adds what the generation's processes have counted so far.
func (g *generation) addTo(life *stats.Life) {
	addBoard(life, g.board)
	g.addPlaces(life)
}

// addPlaces adds what the master itself has counted of the generation's workers.
func (g *generation) addPlaces(life *stats.Life) {
	for _, w := range g.workers {
		life.Harakiris += uint64(w.harakiris)
		life.Respawns += uint64(max(w.Starts()-1, 0))
	}
}
