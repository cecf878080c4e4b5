package master

import (
	"maps"
	"os"
	"strings"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/sockets"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// snapshot is the state now, for the statistics.
func (m *master) snapshot() *stats.Snapshot {
	s := &stats.Snapshot{
		Version: uwsgiopts.Version, PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Dir: m.cfg.StartDir,
		Started: m.started, Sockets: describeSockets(m.sockets), Memory: stats.MemoryReport(m.cfg.MemoryReport),
	}
	m.tellHistory(s)
	for _, one := range m.daemonStatus() {
		s.Daemons = append(s.Daemons, stats.Daemon(one))
	}
	for _, job := range m.jobs.crons {
		one := stats.Cron{When: job.When, Command: job.Command, Unique: job.Unique}
		if job.pid > 0 {
			one.PID, one.Started = job.pid, job.last
		}
		s.Crons = append(s.Crons, one)
	}
	if shared := m.owned.resources; shared != nil {
		s.Locks = userLocks(shared.Locks, m.cfg.Locks)
	}
	if m.router != nil {
		s.RoutedSignals, s.LostSignals, s.SignalQueue = m.router.Routed, m.router.Lost, m.router.Waiting()
	}
	if m.current != nil {
		s.Loading = m.history.began
	}
	m.countSockets(s, m.sockets)
	m.describePools(s)
	m.describeEvents(s)
	if g := m.newest(); g != nil {
		m.showMetrics(s, g.cfg)
		g.describeAuxiliaries(s)
		if g.shared != nil {
			g.shared.statistics(s)
		}
		s.App.LoadTime = g.loadTime
		if g.service != nil {
			s.App.Name = g.service.BootName
		}
		if g.cfg.Chdir != "" {
			s.App.Chdir = workDir(g.cfg)
		}
		for _, w := range g.workers {
			s.Workers = append(s.Workers, g.snapshot(w))
		}
	}
	return s
}

// newest is the generation that serves, or else the last one that did; nil: there is none.
func (m *master) newest() *generation {
	switch {
	case m.current != nil:
		return m.current
	case len(m.old) > 0:
		return m.old[len(m.old)-1]
	}
	return m.next
}

func (g *generation) snapshot(w *worker) stats.Worker {
	s := stats.Worker{ID: w.ID, PID: w.PID(), Accepting: w.Is(process.Ready), Harakiris: w.harakiris, Started: w.Started(), Starts: w.Starts()}
	s.Read(g.board, g.rows(w))
	s.Delta = s.Requests - w.servedBefore
	return s
}

// describeAuxiliaries tells of mules and spoolers.
func (g *generation) describeAuxiliaries(s *stats.Snapshot) {
	life := maps.Clone(g.m.history.auxiliaries)
	if life == nil {
		life = map[string]stats.AuxiliaryHistory{}
	}
	for _, one := range g.m.generations() {
		one.addAuxiliaries(life)
	}
	for _, a := range g.auxiliaries {
		line := g.lines.Line(a.Row)
		one := stats.Auxiliary{ID: a.ID, PID: a.PID(), Dir: a.dir, Busy: line.State.Load() == shm.Busy, Tasks: uint64(line.Tasks.Load()),
			Respawns: max(a.Starts()-1, 0), Life: life[a.auxiliaryKey()]}
		g.lines.Times(a.Row).AddTo(&one.Times)
		if a.Kind == workerspec.RoleSpooler {
			s.Spoolers = append(s.Spoolers, one)
			continue
		}
		one.Runs = g.cfg.Mules[a.ID-1].Runs
		s.Mules = append(s.Mules, one)
	}
}

// requests is how many the processes in a worker's place have served.
func (g *generation) requests(w *worker) (n uint64) {
	for _, row := range g.rows(w) {
		for core := range g.board.Cores() {
			n += g.board.Core(row, core).Requests.Load()
		}
	}
	return n
}

// rows are the worker's rows of the scoreboard: first that of the process that it is known by, then
// that of the one beside it, and what was folded.
func (g *generation) rows(w *worker) []int {
	rows := make([]int, 1, 3)
	rows[0] = w.Row
	for _, row := range []int{w.beside.Row, g.board.Past(w.ID)} {
		if row != 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// describeSockets tells of the sockets that workers serve.
func describeSockets(list []*sockets.Socket) (all []stats.Socket) {
	for _, s := range list {
		if !s.ForWorkers() {
			continue
		}
		one := stats.Socket{Name: s.Name, Protocol: strings.TrimSuffix(s.Protocol, "-router"), Shared: s.Mapped()}
		one.Queue, one.MaxQueue = s.Queue()
		all = append(all, one)
	}
	return all
}
