package cheaper

import (
	"fmt"
	"time"
)

// BusynessSettings are those of the options --cheaper-busyness-*.
type BusynessSettings struct {
	Max, Min          int // percent
	Multiplier        int // windows below Min after which a worker goes
	Penalty           int // windows to add to Multiplier when one had to come back soon
	BacklogAlert      int // connections that wait: add at once; 0: never
	BacklogMultiplier int // windows without an alert after which workers added for it go
	BacklogStep       int // workers to add at an alert
	BacklogNonzero    int // seconds that any connection may have to wait: add then; 0: never
	Verbose           bool
}

// busyness goes by the share of time that workers spend in requests, measured over
// windows of --cheaper-overload seconds.
type busyness struct {
	Settings
	multiplier int // Multiplier with its penalties
	belowMin   int // windows in a row below Min
	shrunk     int // windows since a worker went; 0: none has
	emergency  int // workers that were added for the backlog
	since      time.Time
	spent      map[int]time.Duration // InRequests at the window's beginning
	waiting    time.Time             // since when connections wait; zero: they do not
}

func newBusyness(s Settings) *busyness {
	return &busyness{Settings: s, multiplier: s.Busyness.Multiplier}
}

// Poll answers as Policy wants.
func (p *busyness) Poll(s *Situation) (int, string) {
	if change, note := p.checkBacklog(s); change != 0 {
		return change, note
	}
	window := time.Duration(p.Overload) * time.Second
	if p.spent == nil {
		p.begin(s)
		return 0, ""
	}
	if s.Now.Sub(p.since) < window {
		return 0, ""
	}
	average := p.average(s)
	p.begin(s)
	if p.shrunk > 0 {
		p.shrunk++
	}
	change := p.judge(average, s.active() > p.Least)
	return change, p.note(s, average, change)
}

// judge compares a window's average with the marks; spare: there are workers that may go.
func (p *busyness) judge(average int, spare bool) int {
	set := p.Busyness
	switch {
	case average > set.Max:
		p.belowMin = 0
		if p.shrunk > 0 && p.shrunk <= p.multiplier { // taking that one away was premature
			p.multiplier += set.Penalty
		}
		p.shrunk = 0
		return p.Step
	case average >= set.Min:
		p.belowMin = 0
		return 0
	}
	need := p.multiplier
	if p.emergency > 0 {
		need = set.BacklogMultiplier
	}
	if p.belowMin++; p.belowMin < need || !spare {
		return 0
	}
	if p.shrunk > p.multiplier && p.multiplier > set.Multiplier { // the last one was not missed
		p.multiplier--
	}
	p.belowMin, p.shrunk = 0, 1
	p.emergency = max(p.emergency-1, 0)
	return -1
}

// checkBacklog adds workers, whatever the busyness, when connections wait.
func (p *busyness) checkBacklog(s *Situation) (int, string) {
	set := p.Busyness
	if s.Queue == 0 {
		p.waiting = time.Time{}
		return 0, ""
	}
	if p.waiting.IsZero() {
		p.waiting = s.Now
	}
	switch {
	case set.BacklogAlert > 0 && s.Queue >= set.BacklogAlert:
		p.belowMin = 0
		step := max(set.BacklogStep, 1)
		p.emergency += min(step, s.count(Cheap))
		return step, p.say("[busyness] %d connections wait: adding %d worker(s)", s.Queue, step)
	case set.BacklogNonzero > 0 && s.Now.Sub(p.waiting) >= time.Duration(set.BacklogNonzero)*time.Second:
		p.waiting = s.Now
		p.belowMin = 0
		return p.Step, p.say("[busyness] connections have been waiting for %d seconds: adding %d worker(s)", set.BacklogNonzero, p.Step)
	}
	return 0, ""
}

// begin starts a window.
func (p *busyness) begin(s *Situation) {
	p.since, p.spent = s.Now, map[int]time.Duration{}
	for _, w := range s.Workers {
		p.spent[w.ID] = w.InRequests
	}
}

// average is the busyness of active workers over the window, in percent. Cores of
// one worker add up, to 100 at most: they share one interpreter.
func (p *busyness) average(s *Situation) int {
	window := s.Now.Sub(p.since)
	sum, n := 0, 0
	for _, w := range s.Workers {
		if w.State == Cheap {
			continue
		}
		n++
		share := int(100 * (w.InRequests - p.spent[w.ID]) / window)
		sum += min(max(share, 0), 100)
	}
	return sum / max(n, 1)
}

func (p *busyness) note(s *Situation, average, change int) string {
	return p.say("[busyness] %d%% average over %d worker(s), %d window(s) below %d%%: change %+d", average, s.active(), p.belowMin, p.Busyness.Min, change)
}

func (p *busyness) say(format string, args ...any) string {
	if !p.Busyness.Verbose {
		return ""
	}
	return fmt.Sprintf(format, args...)
}
