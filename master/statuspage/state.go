package statuspage

import (
	"cmp"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"envoxyd/internal/logtext"
	"envoxyd/master/stats"
)

// What one event may hold.
const (
	maxRequests = 40   // in hand
	maxSources  = 40   // of events
	maxText     = 4096 // bytes of one text
)

// state is the event "state": docs/status-page.md names its keys. Times are unix seconds, durations seconds, sizes bytes.
type state struct {
	Time       float64          `json:"now"`
	Instance   instanceState    `json:"instance"`
	Findings   []finding        `json:"findings"`
	Totals     totalState       `json:"totals"`
	Minute     minuteState      `json:"minute"`
	Point      map[string]any   `json:"point"`
	InHand     int              `json:"in_hand"`
	Requests   []requestState   `json:"requests"`
	Workers    []workerState    `json:"workers"`
	Sockets    []socketState    `json:"sockets"`
	Reloads    []reloadState    `json:"reloads"`
	Connectors []connectorState `json:"connectors"`
	Events     *eventState      `json:"events"`
	Pools      []poolState      `json:"pools"`
	Processes  []processState   `json:"processes"`
	Crons      []cronState      `json:"crons"`
	Caches     []cacheState     `json:"caches"`
}

type instanceState struct {
	Name     string  `json:"name"`
	Dir      string  `json:"dir"`
	Host     string  `json:"host"`
	Version  string  `json:"version"`
	PID      int     `json:"pid"`
	Started  float64 `json:"started"`
	LoadTime number  `json:"load_time"`
	Loading  float64 `json:"loading"`
}

type totalState struct {
	Requests      uint64    `json:"requests"`
	Responses     [6]uint64 `json:"responses"`
	Exceptions    uint64    `json:"exceptions"`
	Sent          uint64    `json:"sent"`
	Harakiris     uint64    `json:"harakiris"`
	Respawns      uint64    `json:"respawns"`
	Reloads       uint64    `json:"reloads"`
	FailedReloads uint64    `json:"failed_reloads"`
	RSS           int64     `json:"rss"`
}

type minuteState struct {
	Seconds   number `json:"seconds"`
	Requests  number `json:"requests"`
	P50       number `json:"p50"`
	P95       number `json:"p95"`
	P99       number `json:"p99"`
	Wait      number `json:"wait"`
	Answered  number `json:"answered"`
	Errors4   number `json:"errors4"`
	Errors5   number `json:"errors5"`
	Harakiris number `json:"harakiris"`
	Respawns  number `json:"respawns"`
}

type requestState struct {
	Worker   int    `json:"worker"`
	Core     int    `json:"core"`
	Method   string `json:"method"`
	URI      string `json:"uri"`
	Addr     string `json:"addr"`
	Age      number `json:"age"`
	Harakiri number `json:"harakiri"`
}

type workerState struct {
	ID         int           `json:"id"`
	PID        int           `json:"pid"`
	Status     string        `json:"status"`
	Cores      int           `json:"cores"`
	InHand     int           `json:"in_hand"`
	Oldest     *requestState `json:"oldest"`
	Requests   uint64        `json:"requests"`
	Rate       number        `json:"rate"`
	P50        number        `json:"p50"`
	P95        number        `json:"p95"`
	Processor  number        `json:"processor"`
	RSS        int64         `json:"rss"`
	Started    float64       `json:"started"`
	Starts     int           `json:"starts"`
	Harakiris  int           `json:"harakiris"`
	Exceptions uint64        `json:"exceptions"`
}

type socketState struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Queue    int    `json:"queue"`
	MaxQueue int    `json:"max_queue"`
}

type reloadState struct {
	At      float64 `json:"at"`
	Took    number  `json:"took"`
	Problem string  `json:"problem"`
}

type connectorState struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"`
	Since   float64 `json:"since"`
	Age     number  `json:"age"`
	Took    number  `json:"took"`
	Problem string  `json:"problem"`
}

type eventState struct {
	Received    uint64 `json:"received"`
	Handled     uint64 `json:"handled"`
	Failed      uint64 `json:"failed"`
	Redelivered uint64 `json:"redelivered"`
	Dropped     uint64 `json:"dropped"`
	Published   uint64 `json:"published"`
	Waiting     int    `json:"waiting"`
	Working     int    `json:"working"`

	Sources []sourceState `json:"sources"`
}

// sourceState is a filter of a broker's messages, or a timer.
type sourceState struct {
	Kind     string `json:"kind"`
	Server   string `json:"server"`
	Name     string `json:"name"`
	Received uint64 `json:"received"`
	Handled  uint64 `json:"handled"`
	Failed   uint64 `json:"failed"`
}

type poolState struct {
	Name     string `json:"name"`
	Open     int    `json:"open"`
	InUse    int    `json:"in_use"`
	Waiting  int    `json:"waiting"`
	Limit    int    `json:"limit"`
	Waited   uint64 `json:"waited"`
	TimedOut uint64 `json:"timed_out"`
}

// processState is a process beside the workers.
type processState struct {
	Kind     string `json:"kind"` // mule, spooler or daemon
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	Busy     bool   `json:"busy"`
	Tasks    uint64 `json:"tasks"`
	Respawns int    `json:"respawns"`
}

type cronState struct {
	When    [5]int  `json:"when"`
	Command string  `json:"command"`
	PID     int     `json:"pid"`
	Started float64 `json:"started"`
}

type cacheState struct {
	Name     string `json:"name"`
	Items    uint64 `json:"items"`
	MaxItems int64  `json:"max_items"`
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Full     uint64 `json:"full"`
}

// event is the frame as the event "state".
func (f *frame) event() []byte {
	f.once.Do(func() {
		f.page.mu.Lock()
		points := f.page.history.until(f.number)
		f.page.mu.Unlock()
		f.snapshot.Measure(stats.Sizes)
		text, err := json.Marshal(f.state(points))
		if err != nil { // numbers, texts and lists of them: it cannot be
			text = []byte("{}")
		}
		f.text = append(append([]byte("event: state\ndata: "), text...), "\n\n"...)
	})
	return f.text
}

// state is what the frame shows; points are the last ones, the frame's being the last.
func (f *frame) state(points []point) *state {
	s := f.snapshot
	doc := &state{
		Time: stats.UnixSeconds(f.now),
		Instance: instanceState{
			Name: safe(nameOf(s)), Dir: safe(s.Dir), Host: safe(f.page.host), Version: safe(s.Version), PID: s.PID,
			Started: stats.UnixSeconds(s.Started), LoadTime: seconds(s.App.LoadTime), Loading: stats.UnixSeconds(s.Loading),
		},
		Totals: totalState{
			Requests: s.Life.Requests, Responses: s.Life.Responses, Exceptions: s.Life.Exceptions, Sent: s.Life.Sent,
			Harakiris: s.Life.Harakiris, Respawns: s.Life.Respawns, Reloads: s.Life.Reloads, FailedReloads: s.Life.FailedReloads,
			RSS: s.Totals().RSS,
		},
		Minute: minuteState{
			Seconds: number(f.minute.seconds), Requests: number(f.minute.requests), P50: number(f.minute.p50), P95: number(f.minute.p95),
			P99: number(f.minute.p99), Wait: number(f.minute.wait), Answered: number(f.minute.answered), Errors4: number(f.minute.errors4), Errors5: number(f.minute.errors5),
			Harakiris: number(f.minute.harakiris), Respawns: number(f.minute.respawns),
		},
		InHand: s.InHand(), Requests: []requestState{}, Workers: []workerState{}, Sockets: []socketState{}, Reloads: []reloadState{},
		Connectors: []connectorState{}, Pools: []poolState{}, Processes: []processState{}, Crons: []cronState{}, Caches: []cacheState{},
	}
	if len(points) > 0 {
		doc.Point = points[len(points)-1].document()
	}
	f.showWorkers(doc)
	f.showRest(doc)
	doc.Findings = f.findings(points, doc.Requests)
	doc.Requests = doc.Requests[:min(len(doc.Requests), maxRequests)]
	return doc
}

func (f *frame) showWorkers(doc *state) {
	var pids []int
	for i := range f.snapshot.Workers {
		if pid := f.snapshot.Workers[i].PID; pid != 0 {
			pids = append(pids, pid)
		}
	}
	shares := f.page.processors.shares(pids)
	for i := range f.snapshot.Workers {
		w := &f.snapshot.Workers[i]
		one := workerState{
			ID: w.ID, PID: w.PID, Status: string(w.Status), Cores: len(w.Cores), Requests: w.Requests, Rate: number(f.rates[w.ID]),
			P50: number(quantile(&w.Latency, 0.5)), P95: number(quantile(&w.Latency, 0.95)), Processor: number(math.NaN()), RSS: w.RSS,
			Started: stats.UnixSeconds(w.Started), Starts: w.Starts, Harakiris: w.Harakiris, Exceptions: w.Exceptions,
		}
		if w.PID != 0 && !w.Accepting && w.Status == stats.Idle {
			one.Status = "starting" // or on its way out
		}
		if share, known := shares[w.PID]; known {
			one.Processor = number(share)
		}
		for _, core := range w.Cores {
			if core.Request == nil {
				continue
			}
			one.InHand++
			request := f.request(w.ID, core.ID, core.Request)
			if one.Oldest == nil || request.Age > one.Oldest.Age {
				one.Oldest = &request
			}
			doc.Requests = append(doc.Requests, request)
		}
		doc.Workers = append(doc.Workers, one)
	}
	slices.SortStableFunc(doc.Requests, func(a, b requestState) int { return cmp.Compare(b.Age, a.Age) })
}

func (f *frame) request(worker, core int, r *stats.Request) requestState {
	one := requestState{
		Worker: worker, Core: core, Method: safe(r.Method), URI: safe(r.URI), Addr: safe(r.Addr),
		Age: seconds(max(f.now.Sub(r.Since), 0)), Harakiri: number(math.NaN()),
	}
	if !r.Deadline.IsZero() {
		one.Harakiri = seconds(r.Deadline.Sub(f.now))
	}
	return one
}

func (f *frame) showRest(doc *state) {
	s := f.snapshot
	for _, one := range s.Sockets {
		doc.Sockets = append(doc.Sockets, socketState{safe(one.Name), safe(one.Protocol), one.Queue, one.MaxQueue})
	}
	for _, one := range s.Reloads {
		doc.Reloads = append(doc.Reloads, reloadState{stats.UnixSeconds(one.At), seconds(one.Took), safeLines(one.Problem)})
	}
	slices.Reverse(doc.Reloads)
	for _, one := range s.Connectors {
		doc.Connectors = append(doc.Connectors, connectorState{safe(one.Name), safe(one.Status), stats.UnixSeconds(one.Since),
			seconds(max(f.now.Sub(one.Checked), 0)), seconds(one.Took), safe(one.Problem)})
	}
	if e := s.Events; e != nil {
		doc.Events = &eventState{e.Received, e.Handled, e.Failed, e.Redelivered, e.Dropped, e.Published, e.Waiting, e.Working, []sourceState{}}
		for _, one := range e.Sources[:min(len(e.Sources), maxSources)] {
			doc.Events.Sources = append(doc.Events.Sources, sourceState{safe(one.Kind), safe(one.Server), safe(one.Name), one.Received, one.Handled, one.Failed})
		}
	}
	for _, one := range s.Pools {
		doc.Pools = append(doc.Pools, poolState{safe(one.Key), one.Open, one.InUse, one.Waiting, one.Limit, one.Waited, one.TimedOut})
	}
	for _, one := range s.Mules {
		doc.Processes = append(doc.Processes, processState{"mule", safe(one.Runs), one.PID, one.Busy, one.Tasks, one.Respawns})
	}
	for _, one := range s.Spoolers {
		doc.Processes = append(doc.Processes, processState{"spooler", safe(one.Dir), one.PID, one.Busy, one.Tasks, one.Respawns})
	}
	for _, one := range s.Daemons {
		doc.Processes = append(doc.Processes, processState{"daemon", safe(one.Command), one.PID, false, 0, one.Respawns})
	}
	for _, one := range s.Crons {
		doc.Crons = append(doc.Crons, cronState{one.When, safe(one.Command), one.PID, stats.UnixSeconds(one.Started)})
	}
	for _, one := range s.Caches {
		doc.Caches = append(doc.Caches, cacheState{safe(one.Name), one.Items, one.MaxItems, one.Hits, one.Misses, one.Full})
	}
}

// nameOf is what operators know the instance by: the service's name, else that of its directory.
func nameOf(s *stats.Snapshot) string {
	for _, dir := range []string{s.App.Chdir, s.Dir} {
		if s.App.Name != "" {
			return s.App.Name
		}
		if dir != "" {
			return filepath.Base(dir)
		}
	}
	return "envoxyd"
}

// safe makes a text that may be a client's fit to be shown.
func safe(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return logtext.Safe(text)
}

// safeLines is safe for a text of several lines.
func safeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = safe(line)
	}
	return strings.Join(lines, "\n")
}

func seconds(d time.Duration) number { return number(d.Seconds()) }
