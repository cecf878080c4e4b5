package master

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/procmem"
	"envoxyd/internal/shm"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

// statsDocument is what --stats answers; its fields and their order are uWSGI's,
// and the tools that read it expect all of them.
type statsDocument struct {
	Version           string           `json:"version"`
	ListenQueue       int              `json:"listen_queue"`
	ListenQueueErrors int              `json:"listen_queue_errors"`
	SignalQueue       int              `json:"signal_queue"`
	Load              int              `json:"load"`
	PID               int              `json:"pid"`
	UID               int              `json:"uid"`
	GID               int              `json:"gid"`
	Cwd               string           `json:"cwd"`
	Daemons           []statsDaemon    `json:"daemons,omitempty"`
	Locks             []map[string]int `json:"locks"`
	Sockets           []statsSocket    `json:"sockets"`
	Workers           []statsWorker    `json:"workers"`
	Crons             []statsCron      `json:"crons,omitempty"`

	memory int // --memory-report
}

type statsSocket struct {
	Name       string `json:"name"`
	Proto      string `json:"proto"`
	Queue      int    `json:"queue"`
	MaxQueue   int    `json:"max_queue"`
	Shared     int    `json:"shared"`
	CanOffload int    `json:"can_offload"`
}

type statsDaemon struct {
	Cmd      string `json:"cmd"`
	PID      int    `json:"pid"`
	Respawns int    `json:"respawns"`
}

type statsCron struct {
	Minute    int    `json:"minute"`
	Hour      int    `json:"hour"`
	Day       int    `json:"day"`
	Month     int    `json:"month"`
	Week      int    `json:"week"`
	Command   string `json:"command"`
	Unique    int    `json:"unique"`
	Legion    string `json:"legion"`
	PID       int    `json:"pid"`        // -1: it does not run
	StartedAt int64  `json:"started_at"` // unix seconds; 0: never
}

type statsWorker struct {
	ID            int         `json:"id"`
	PID           int         `json:"pid"`
	Accepting     int         `json:"accepting"`
	Requests      uint64      `json:"requests"`
	DeltaRequests uint64      `json:"delta_requests"`
	Exceptions    uint64      `json:"exceptions"`
	HarakiriCount int         `json:"harakiri_count"`
	Signals       int         `json:"signals"`
	SignalQueue   int         `json:"signal_queue"`
	Status        string      `json:"status"`
	RSS           int64       `json:"rss"`
	VSZ           int64       `json:"vsz"`
	USS           int64       `json:"uss"`
	PSS           int64       `json:"pss"`
	RunningTime   uint64      `json:"running_time"` // microseconds
	LastSpawn     int64       `json:"last_spawn"`   // unix seconds
	RespawnCount  int         `json:"respawn_count"`
	TX            uint64      `json:"tx"`     // bytes
	AvgRT         uint64      `json:"avg_rt"` // microseconds
	Apps          []statsApp  `json:"apps"`
	Cores         []statsCore `json:"cores"`
}

type statsApp struct {
	ID          int    `json:"id"`
	Modifier1   int    `json:"modifier1"`
	Mountpoint  string `json:"mountpoint"`
	StartupTime int    `json:"startup_time"` // seconds
	Requests    uint64 `json:"requests"`
	Exceptions  uint64 `json:"exceptions"`
	Chdir       string `json:"chdir"`
}

type statsCore struct {
	ID                int              `json:"id"`
	Requests          uint64           `json:"requests"`
	StaticRequests    uint64           `json:"static_requests"`
	RoutedRequests    uint64           `json:"routed_requests"`
	OffloadedRequests uint64           `json:"offloaded_requests"`
	WriteErrors       uint64           `json:"write_errors"`
	ReadErrors        uint64           `json:"read_errors"`
	InRequest         int              `json:"in_request"`
	Vars              []string         `json:"vars"`
	ReqInfo           map[string]int64 `json:"req_info"`
}

// statistics is the state of everything at this moment.
func (m *master) statistics() *statsDocument {
	d := &statsDocument{
		Version: uwsgiopts.Version, PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Cwd: m.cfg.StartDir,
		Locks: []map[string]int{}, Sockets: []statsSocket{}, Workers: []statsWorker{}, memory: m.cfg.MemoryReport,
	}
	for _, s := range m.sockets {
		if !s.ForWorkers() {
			continue
		}
		queue, limit := listenQueue(s.FD)
		shared := 0
		if s.Mapped() {
			shared = 1
		}
		d.Sockets = append(d.Sockets, statsSocket{Name: s.Name, Proto: strings.TrimSuffix(s.Protocol, "-router"), Queue: queue, MaxQueue: limit, Shared: shared})
		d.ListenQueue = max(d.ListenQueue, queue)
	}
	for _, one := range m.daemonStatus() {
		d.Daemons = append(d.Daemons, statsDaemon{one.Command, one.PID, one.Respawns})
	}
	for _, job := range m.jobs.crons {
		c := statsCron{job.When[0], job.When[1], job.When[2], job.When[3], job.When[4], job.Command, 0, "", job.pid, 0}
		if job.Unique {
			c.Unique = 1
		}
		if job.pid > 0 {
			c.StartedAt = job.last.Unix()
		}
		d.Crons = append(d.Crons, c)
	}
	d.Load = d.ListenQueue
	if g := m.newest(); g != nil {
		for _, w := range g.workers {
			d.Workers = append(d.Workers, g.statistics(w))
		}
	}
	return d
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

func (g *generation) statistics(w *worker) statsWorker {
	s := statsWorker{ID: w.ID, PID: w.PID(), HarakiriCount: w.harakiris, Status: "cheap"}
	if w.PID() != 0 {
		s.Status = "idle"
		if g.board.Suspended(w.ID) {
			s.Status = "pause"
		}
		s.LastSpawn, s.RespawnCount = w.Started().Unix(), w.Starts()
	}
	if w.Is(process.Ready) {
		s.Accepting = 1
	}
	app := statsApp{StartupTime: int(g.loadTime / time.Second)}
	if g.cfg.Chdir != "" {
		app.Chdir = workDir(g.cfg)
	}
	for number := range g.board.Cores() {
		core := g.board.Core(w.ID, number)
		c := statsCore{
			ID: number, Requests: core.Requests.Load(), StaticRequests: core.Static.Load(),
			WriteErrors: core.WriteErrors.Load(), ReadErrors: core.ReadErrors.Load(),
			Vars: []string{}, ReqInfo: map[string]int64{},
		}
		if core.State.Load() == shm.Busy {
			s.Status = "busy"
			app.Requests++
			c.InRequest = 1
			c.Vars = requestVars(core.Request())
			c.ReqInfo["request_start"] = monotime.Time(core.Since.Load()).Unix()
		}
		s.Requests += c.Requests
		app.Requests -= c.StaticRequests
		s.Exceptions += core.Exceptions.Load()
		s.RunningTime += core.Micros.Load()
		s.TX += core.Sent.Load()
		s.Cores = append(s.Cores, c)
	}
	s.DeltaRequests = s.Requests - w.servedBefore
	s.AvgRT = s.RunningTime / max(s.Requests, 1)
	app.Requests += s.Requests
	app.Exceptions = s.Exceptions
	s.Apps = []statsApp{app}
	if g.cfg.StatsNoCores {
		s.Cores = []statsCore{}
	}
	return s
}

// requests is how many the processes in a worker's place have served.
func (g *generation) requests(w *worker) (n uint64) {
	for core := range g.board.Cores() {
		n += g.board.Core(w.ID, core).Requests.Load()
	}
	return n
}

// requestVars are the variables of a request as far as the scoreboard knows it
// ("ADDR - METHOD URI"): never its headers, which may be secret. uWSGI ends the list with "".
func requestVars(request string) []string {
	addr, rest, _ := strings.Cut(request, " - ")
	method, uri, _ := strings.Cut(rest, " ")
	path, query, _ := strings.Cut(uri, "?")
	return []string{"REQUEST_METHOD=" + method, "PATH_INFO=" + path, "REQUEST_URI=" + uri, "QUERY_STRING=" + query, "REMOTE_ADDR=" + addr, ""}
}

// listenQueue is how many connections wait on a listening TCP socket and how many
// may; 0 of 0 where the kernel does not tell.
func listenQueue(fd int) (queue, limit int) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0
	}
	return int(info.Unacked), int(info.Sacked)
}

// measure fills in what --memory-report asks for.
func (d *statsDocument) measure() {
	for i := range d.Workers {
		w := &d.Workers[i]
		if w.PID == 0 || d.memory < 1 {
			continue
		}
		process := procmem.PID(w.PID)
		w.RSS, w.VSZ = process.Size()
		if d.memory > 1 {
			w.USS, w.PSS = process.Own()
		}
	}
}
