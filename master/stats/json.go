package stats

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// JSONForm is how the JSON document is written.
type JSONForm struct {
	Minified bool // without blanks
	NoCores  bool // the lists of cores are empty

	NoMetrics bool // metrics are left out
}

// WriteJSON writes the document that --stats answers. Its fields and their order are uWSGI's,
// and the tools that read it expect all of them; numbers are integers.
func (s *Snapshot) WriteJSON(w io.Writer, form JSONForm) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if !form.Minified {
		encoder.SetIndent("", "\t")
	}
	if err := encoder.Encode(s.document(form)); err != nil {
		return fmt.Errorf("statistics: %w", err)
	}
	return nil
}

type document struct {
	Version           string                  `json:"version"`
	ListenQueue       int                     `json:"listen_queue"`
	ListenQueueErrors int                     `json:"listen_queue_errors"`
	SignalQueue       int                     `json:"signal_queue"`
	Load              int                     `json:"load"`
	PID               int                     `json:"pid"`
	UID               int                     `json:"uid"`
	GID               int                     `json:"gid"`
	Cwd               string                  `json:"cwd"`
	Daemons           []daemonObject          `json:"daemons,omitempty"`
	Locks             []map[string]int        `json:"locks"` // the holder's pid; 0: free
	Caches            []cacheObject           `json:"caches,omitempty"`
	Metrics           map[string]metricObject `json:"metrics,omitempty"`
	Sockets           []socketObject          `json:"sockets"`
	Workers           []workerObject          `json:"workers"`
	Spoolers          []spoolerObject         `json:"spoolers,omitempty"`
	Mules             []muleObject            `json:"mules,omitempty"` // uWSGI does not list them
	Crons             []cronObject            `json:"crons,omitempty"`
	Life              lifeObject              `json:"life"` // from here on: uWSGI has none of it
	Reloads           []reloadObject          `json:"reloads"`
}

type socketObject struct {
	Name       string `json:"name"`
	Proto      string `json:"proto"`
	Queue      int    `json:"queue"`
	MaxQueue   int    `json:"max_queue"`
	Shared     int    `json:"shared"`
	CanOffload int    `json:"can_offload"`
}

type cacheObject struct {
	Name         string `json:"name"`
	Hash         string `json:"hash"`
	HashSize     int64  `json:"hashsize"`
	KeySize      int64  `json:"keysize"`
	MaxItems     int64  `json:"max_items"`
	Blocks       int64  `json:"blocks"`
	BlockSize    int64  `json:"blocksize"`
	Items        uint64 `json:"items"`
	Hits         uint64 `json:"hits"`
	Misses       uint64 `json:"miss"`
	Full         uint64 `json:"full"`
	LastModified int64  `json:"last_modified_at"`
}

type daemonObject struct {
	Cmd      string `json:"cmd"`
	PID      int    `json:"pid"`
	Respawns int    `json:"respawns"`
}

type metricObject struct {
	Type  int    `json:"type"`
	OID   string `json:"oid"`
	Value int64  `json:"value"`
}

type spoolerObject struct {
	Dir      string `json:"dir"`
	PID      int    `json:"pid"`
	Tasks    uint64 `json:"tasks"`
	Respawns int    `json:"respawns"`
	Running  int    `json:"running"`

	Latency durationsObject `json:"latency"` // of jobs
}

type muleObject struct {
	ID       int    `json:"id"`
	PID      int    `json:"pid"`
	Runs     string `json:"runs"`
	Tasks    uint64 `json:"tasks"`
	Respawns int    `json:"respawns"`
	Running  int    `json:"running"`

	Latency durationsObject `json:"latency"` // of messages and signals
}

type cronObject struct {
	Minute    int    `json:"minute"`
	Hour      int    `json:"hour"`
	Day       int    `json:"day"`
	Month     int    `json:"month"`
	Week      int    `json:"week"`
	Command   string `json:"command"`
	Unique    int    `json:"unique"`
	Legion    string `json:"legion"`
	PID       int    `json:"pid"`        // -1: it does not run
	StartedAt int64  `json:"started_at"` // unix seconds; 0: it does not run
}

type workerObject struct {
	ID            int          `json:"id"`
	PID           int          `json:"pid"`
	Accepting     int          `json:"accepting"`
	Requests      uint64       `json:"requests"`
	DeltaRequests uint64       `json:"delta_requests"`
	Exceptions    uint64       `json:"exceptions"`
	HarakiriCount int          `json:"harakiri_count"`
	Signals       uint64       `json:"signals"`
	SignalQueue   int          `json:"signal_queue"`
	Status        Status       `json:"status"`
	RSS           int64        `json:"rss"` // bytes, as the next three
	VSZ           int64        `json:"vsz"`
	USS           int64        `json:"uss"`
	PSS           int64        `json:"pss"`
	RunningTime   uint64       `json:"running_time"` // microseconds
	LastSpawn     int64        `json:"last_spawn"`   // unix seconds
	RespawnCount  int          `json:"respawn_count"`
	TX            uint64       `json:"tx"`     // bytes
	AvgRT         uint64       `json:"avg_rt"` // microseconds
	Apps          []appObject  `json:"apps"`
	Cores         []coreObject `json:"cores"`
	timingObject
}

type appObject struct {
	ID          int    `json:"id"`
	Modifier1   int    `json:"modifier1"`
	Mountpoint  string `json:"mountpoint"`
	StartupTime int    `json:"startup_time"` // seconds
	Requests    uint64 `json:"requests"`     // that have begun
	Exceptions  uint64 `json:"exceptions"`
	Chdir       string `json:"chdir"`
}

type coreObject struct {
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

func (s *Snapshot) document(form JSONForm) *document {
	longest := s.ListenQueue()
	d := &document{
		Version: s.Version, ListenQueue: longest, Load: longest, PID: s.PID, UID: s.UID, GID: s.GID, Cwd: s.Dir,
		Locks: []map[string]int{}, Sockets: []socketObject{}, Workers: []workerObject{},
	}
	for _, one := range s.Daemons {
		d.Daemons = append(d.Daemons, daemonObject{one.Command, one.PID, one.Respawns})
	}
	for _, lock := range s.Locks {
		d.Locks = append(d.Locks, map[string]int{lock.Name: lock.Holder})
	}
	for _, cache := range s.Caches {
		d.Caches = append(d.Caches, cacheObject(cache))
	}
	for _, one := range s.Sockets {
		d.Sockets = append(d.Sockets, socketObject{Name: one.Name, Proto: one.Protocol, Queue: one.Queue, MaxQueue: one.MaxQueue, Shared: number(one.Shared)})
	}
	for i := range s.Workers {
		d.Workers = append(d.Workers, s.Workers[i].object(s.App, form))
	}
	if s.ShowMetrics != nil && !form.NoMetrics {
		detail := *s.ShowMetrics
		detail.Cores = detail.Cores && !form.NoCores
		d.Metrics = map[string]metricObject{}
		for _, m := range s.Metrics(detail) {
			d.Metrics[m.Name] = metricObject{int(m.Kind), m.OID, m.Value}
		}
	}
	for _, one := range s.Spoolers {
		d.Spoolers = append(d.Spoolers, spoolerObject{one.Dir, one.PID, one.Tasks, one.Respawns, number(one.Busy), durations(&one.Times)})
	}
	for _, one := range s.Mules {
		d.Mules = append(d.Mules, muleObject{one.ID, one.PID, one.Runs, one.Tasks, one.Respawns, number(one.Busy), durations(&one.Times)})
	}
	for _, job := range s.Crons {
		d.Crons = append(d.Crons, job.object())
	}
	d.Life, d.Reloads = s.Life.object(), reloadObjects(s.Reloads)
	return d
}

func (c *Cron) object() cronObject {
	object := cronObject{Minute: c.When[0], Hour: c.When[1], Day: c.When[2], Month: c.When[3], Week: c.When[4],
		Command: c.Command, Unique: number(c.Unique), PID: -1}
	if c.PID != 0 {
		object.PID, object.StartedAt = c.PID, c.Started.Unix()
	}
	return object
}

func (w *Worker) object(app App, form JSONForm) workerObject {
	object := workerObject{
		ID: w.ID, PID: w.PID, Accepting: number(w.Accepting), Requests: w.Requests, DeltaRequests: w.Delta,
		Exceptions: w.Exceptions, HarakiriCount: w.Harakiris, Signals: w.Signals, Status: w.Status, RSS: w.RSS, VSZ: w.VSZ, USS: w.USS, PSS: w.PSS,
		RunningTime: micros(w.RunningTime), RespawnCount: w.Starts, TX: w.Sent, AvgRT: micros(w.AverageTime()), Cores: []coreObject{},
		timingObject: w.Timing.object(),
	}
	if !w.Started.IsZero() {
		object.LastSpawn = w.Started.Unix()
	}
	begun := w.Requests - w.Static - w.Routed
	for i := range w.Cores {
		if w.Cores[i].Request != nil {
			begun++
		}
		if !form.NoCores {
			object.Cores = append(object.Cores, w.Cores[i].object())
		}
	}
	object.Apps = []appObject{{StartupTime: int(app.LoadTime / time.Second), Requests: begun, Exceptions: w.Exceptions, Chdir: app.Chdir}}
	return object
}

func (c *Core) object() coreObject {
	object := coreObject{
		ID: c.ID, Requests: c.Requests, StaticRequests: c.Static, RoutedRequests: c.Routed, WriteErrors: c.WriteErrors, ReadErrors: c.ReadErrors,
		Vars: []string{}, ReqInfo: map[string]int64{},
	}
	if c.Request != nil {
		object.InRequest = 1
		object.Vars = c.Request.vars()
		object.ReqInfo["request_start"] = c.Request.Since.Unix()
	}
	return object
}

// vars are the request's variables. uWSGI ends the list with "".
func (r *Request) vars() []string {
	path, query, _ := strings.Cut(r.URI, "?")
	return []string{"REQUEST_METHOD=" + r.Method, "PATH_INFO=" + path, "REQUEST_URI=" + r.URI, "QUERY_STRING=" + query, "REMOTE_ADDR=" + r.Addr, ""}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// micros is a time in microseconds, as uWSGI gives them.
func micros(d time.Duration) uint64 { return uint64(d / time.Microsecond) }
