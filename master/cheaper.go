package master

import (
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/procmem"
	"envoxyd/internal/shm"
	"envoxyd/master/cheaper"
	"envoxyd/master/process"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// cheapening is how a generation with --cheaper changes the number of its workers.
type cheapening struct {
	policy cheaper.Policy // nil: all run always
	limits cheaper.Limits
	hold   time.Time // no worker is added before: the last one did not come up
}

func newCheapening(cfg *uwsgiopts.Config) cheapening {
	if cfg.Cheaper == 0 {
		return cheapening{}
	}
	policy, _ := cheaper.New(cfg.CheaperAlgo, cheaper.Settings{
		Least: cfg.Cheaper, Step: cfg.CheaperStep, Overload: cfg.CheaperOverload, Idle: cfg.CheaperIdle,
		Busyness: cheaper.BusynessSettings{
			Max: cfg.BusynessMax, Min: cfg.BusynessMin, Multiplier: cfg.BusynessMultiplier, Penalty: cfg.BusynessPenalty,
			BacklogAlert: cfg.BusynessBacklogAlert, BacklogMultiplier: cfg.BusynessBacklogMultiplier,
			BacklogStep: cfg.BusynessBacklogStep, BacklogNonzero: cfg.BusynessBacklogNonzero, Verbose: cfg.BusynessVerbose,
		},
	})
	return cheapening{policy: policy, limits: cheaper.Limits{Least: cfg.Cheaper, RSSSoft: cfg.CheaperRSSSoft, RSSHard: cfg.CheaperRSSHard}}
}

// countInitialWorkers is how many workers a generation starts with: --cheaper-initial, or as
// many as the one before has by now, so that a reload under load keeps its pace.
func (m *master) countInitialWorkers(cfg *uwsgiopts.Config) int {
	if cfg.Cheaper == 0 {
		return cfg.Processes
	}
	initial := cfg.CheaperInitial
	if g := m.current; g != nil && g.cheapening.policy != nil && !g.asleep {
		initial = max(initial, g.active())
	}
	return min(initial, cfg.Processes)
}

// active is how many places are to have a process.
func (g *generation) active() (n int) {
	for _, w := range g.workers {
		if !w.cheap {
			n++
		}
	}
	return n
}

// adjust has the policy look, once a second, and does what it says.
func (g *generation) adjust(now time.Time) {
	c := &g.cheapening
	if c.policy == nil || g.asleep || g.draining {
		return
	}
	s := g.situation(now)
	change, note := c.policy.Poll(s)
	if note != "" {
		logf("%s", note)
	}
	change = c.limits.Bound(s, change)
	if change > 0 && now.Before(c.hold) {
		return
	}
	g.change(s, change)
}

// change starts workers, or lets some go.
func (g *generation) change(s *cheaper.Situation, change int) {
	start, stop := g.cheapening.limits.Choose(s, change)
	for _, id := range start {
		g.activate(g.workers[id-1])
	}
	for _, id := range stop {
		g.cheapen(g.workers[id-1])
	}
}

// changeWorkers is the fifo's + and -.
func (m *master) changeWorkers(change int) {
	g := m.current
	switch {
	case g == nil:
	case g.asleep:
		logf("the number of workers does not change while they are asleep: the next connection starts them")
	case g.cheapening.policy == nil:
		logf("the number of workers does not change without --cheaper")
	default:
		g.change(g.situation(m.sys.now()), change)
	}
}

// activate fills a cheap place. One that is still on its way out is filled when it has gone.
func (g *generation) activate(w *worker) {
	w.cheap = false
	g.fill(w)
}

// cheapen has a worker finish what it has and leave; its place stays empty.
func (g *generation) cheapen(w *worker) {
	w.cheap = true
	g.endSuccessor(w)
	if w.Is(process.Ready) { // one that is starting leaves when it is ready
		g.dismiss(&w.seat)
	}
}

// situation is what a policy goes by.
func (g *generation) situation(now time.Time) *cheaper.Situation {
	s := &cheaper.Situation{Now: now, Queue: longestQueue(g.sockets)}
	for _, w := range g.workers {
		one := cheaper.Worker{ID: w.ID, Started: w.Started(), State: cheaper.Starting}
		var busy bool
		one.InRequests, busy = g.inRequests(w, now)
		switch {
		case w.cheap:
			one.State = cheaper.Cheap
		case busy:
			one.State = cheaper.Busy
		case w.Is(process.Ready):
			one.State = cheaper.Idle
		}
		s.Workers = append(s.Workers, one)
	}
	if g.cheapening.limits.RSSSoft > 0 {
		for _, one := range g.seats() {
			if one.PID() != 0 {
				rss, _ := procmem.PID(one.PID()).Size()
				s.RSS += rss
			}
		}
	}
	return s
}

// inRequests is the time that a worker's cores have spent in requests so far, and
// whether one of them is in one now.
func (g *generation) inRequests(w *worker, now time.Time) (total time.Duration, busy bool) {
	for _, row := range g.rows(w) {
		for c := range g.board.Cores() {
			core := g.board.Core(row, c)
			total += time.Duration(core.Micros.Load()) * time.Microsecond
			if core.State.Load() == shm.Busy {
				busy = true
				total += time.Duration(monotime.At(now) - core.Since.Load())
			}
		}
	}
	return total, busy
}

// longestQueue is how many connections wait on the fullest of the sockets.
func longestQueue(list []*sockets.Socket) (longest int) {
	for _, s := range list {
		if !s.ForWorkers() {
			continue
		}
		queue, _ := s.Queue()
		longest = max(longest, queue)
	}
	return longest
}
