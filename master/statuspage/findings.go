package statuspage

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"envoxyd/internal/gatewayspec"
)

// How much attention a finding wants.
const (
	levelBad  = "bad"
	levelWarn = "warn"
	levelNote = "note"
)

// finding is something that an operator should know, in words.
type finding struct {
	Level string `json:"level"`
	About string `json:"about"` // the part of the page that shows more
	Text  string `json:"text"`
}

// When something counts as a finding.
const (
	steadyPoints  = 5                      // what is seen in so many points in a row is no accident
	slowRequest   = 3 * time.Second        // a request in hand for longer is pointed out, unless most take that long
	longStream    = 5 * time.Minute        // one without a harakiri that lasts longer may be meant to: a websocket, a stream
	slowFactor    = 10                     // times the 95th percentile of the last minute
	slowerFactor  = 3                      // the last minute against ten minutes
	slowerLeast   = 50 * time.Millisecond  // below nobody notices
	slowerCount   = 20                     // answers in a minute that make a percentile
	longWait      = 100 * time.Millisecond // for a core of the worker
	manyErrors    = 0.05                   // of the answers in a minute
	someErrors    = 0.01
	leastErrors   = 3
	manyRespawns  = 3 // in a minute
	manyWaiting   = 100
	harakiriClose = 0.25 // of the time that a request has in all
)

// findings are what stands out, the worst first. requests are those in hand, the oldest first.
func (f *frame) findings(points []point, requests []requestState) []finding {
	l := findingList{f: f, all: []finding{}}
	l.workers(points)
	l.oldest(requests)
	l.deaths(points)
	l.reload()
	l.answers()
	l.latency(points)
	l.service()
	l.processes()
	order := []string{levelBad, levelWarn, levelNote}
	slices.SortStableFunc(l.all, func(a, b finding) int { return slices.Index(order, a.Level) - slices.Index(order, b.Level) })
	return l.all
}

type findingList struct {
	f   *frame
	all []finding
}

func (l *findingList) add(level, about, format string, args ...any) {
	l.all = append(l.all, finding{level, about, fmt.Sprintf(format, args...)})
}

// workers tells of those that are missing or busy, and of connections that wait for one.
func (l *findingList) workers(points []point) {
	s := l.f.snapshot
	if totals := s.Totals(); totals.Active == 0 && len(s.Workers) > 0 {
		l.add(levelWarn, "workers", "No worker runs.")
		return
	}
	last := points[max(len(points)-steadyPoints, 0):]
	steady := func(is func(p *point) bool) bool {
		return len(last) == steadyPoints && !slices.ContainsFunc(last, func(p point) bool { return !is(&p) })
	}
	busy := steady(func(p *point) bool { return p.workers > 0 && p.busy >= p.workers })
	waiting := steady(func(p *point) bool { return p.queue > 0 })
	var text []string
	level := levelWarn
	if busy {
		n := int(last[len(last)-1].workers)
		if n == 1 {
			text = append(text, "The only worker is busy all the time.")
		} else {
			text = append(text, fmt.Sprintf("All %d workers are busy all the time.", n))
		}
	}
	if waiting {
		for _, socket := range s.Sockets {
			if socket.Queue == 0 {
				continue
			}
			text = append(text, fmt.Sprintf("%s on %s.", plural(socket.Queue, "connection waits", "connections wait"), safe(socket.Name)))
			if socket.MaxQueue > 0 && socket.Queue*2 >= socket.MaxQueue {
				level = levelBad
				text = append(text, fmt.Sprintf("There is room for %d.", socket.MaxQueue))
			}
		}
	}
	if len(text) == 0 {
		return
	}
	if busy && waiting {
		level = levelBad
	}
	about := "queue"
	if !waiting {
		about = "workers"
	}
	l.add(level, about, "%s", strings.Join(text, " "))
}

// oldest tells of the request that takes longest, unless it may be meant to.
func (l *findingList) oldest(requests []requestState) {
	at := slices.IndexFunc(requests, func(r requestState) bool {
		return !math.IsNaN(float64(r.Harakiri)) || float64(r.Age) < longStream.Seconds()
	})
	if at != 0 && len(requests) > 0 {
		r := requests[0]
		l.add(levelNote, "requests", "Worker %d has been in %s %s for %s: a stream, or it hangs.", r.Worker, r.Method, shorten(r.URI), span(float64(r.Age)))
	}
	if at < 0 {
		return
	}
	r := requests[at]
	level, ending := levelWarn, ""
	if left := float64(r.Harakiri); !math.IsNaN(left) {
		ending = fmt.Sprintf(" Harakiri comes in %s.", span(max(left, 0)))
		if left < harakiriClose*(left+float64(r.Age)) {
			level = levelBad
		}
	}
	usual := l.f.minute.p95
	if float64(r.Age) < slowRequest.Seconds() || float64(r.Age) < slowFactor*usual && level != levelBad {
		return
	}
	l.add(level, "requests", "Worker %d has been in %s %s for %s.%s", r.Worker, r.Method, shorten(r.URI), span(float64(r.Age)), ending)
}

// deaths tells of processes that ended before their time.
func (l *findingList) deaths(points []point) {
	var harakiris float64
	for i := range points {
		harakiris += points[i].harakiris
	}
	switch recent := l.f.minute.harakiris; {
	case recent > 0:
		l.add(levelBad, "workers", "%s in the last minute: requests took longer than they may.", plural(int(recent), "harakiri", "harakiris"))
	case harakiris > 0:
		l.add(levelWarn, "workers", "%s in the last ten minutes.", plural(int(harakiris), "harakiri", "harakiris"))
	}
	if n := l.f.minute.respawns; n >= manyRespawns && n > l.f.minute.harakiris {
		l.add(levelWarn, "workers", "%d workers were respawned in the last minute.", int(n))
	}
}

func (l *findingList) reload() {
	s := l.f.snapshot
	if !s.Loading.IsZero() {
		l.add(levelNote, "reloads", "A reload has been loading for %s; the code before it serves.", span(l.f.now.Sub(s.Loading).Seconds()))
	}
	if len(s.Reloads) == 0 {
		return
	}
	if last := s.Reloads[len(s.Reloads)-1]; last.Problem != "" {
		l.add(levelBad, "reloads", "The last reload, %s ago, has failed. The code before it keeps serving.", span(l.f.now.Sub(last.At).Seconds()))
	}
}

// answers tells of errors.
func (l *findingList) answers() {
	m := l.f.minute
	if m.answered == 0 || m.errors5 < leastErrors {
		return
	}
	switch share := m.errors5 / m.answered; {
	case share >= manyErrors:
		l.add(levelBad, "rate", "%.0f %% of the answers in the last minute are server errors (5xx).", share*100)
	case share >= someErrors:
		l.add(levelWarn, "rate", "%.1f %% of the answers in the last minute are server errors (5xx).", share*100)
	}
}

// latency tells of requests that take longer than they did, or wait.
func (l *findingList) latency(points []point) {
	m := l.f.minute
	if m.answered < slowerCount {
		return
	}
	var usual []float64
	for i := range points {
		if !math.IsNaN(points[i].p95) {
			usual = append(usual, points[i].p95)
		}
	}
	if len(usual) > 2*60 && m.p95 > slowerLeast.Seconds() {
		slices.Sort(usual)
		if median := usual[len(usual)/2]; m.p95 > slowerFactor*median {
			l.add(levelWarn, "latency", "Requests are slower than usual: 95 %% within %s in the last minute, %s in ten minutes.", span(m.p95), span(median))
		}
	}
	if m.wait > longWait.Seconds() {
		l.add(levelWarn, "latency", "Requests wait for a free core: 95 %% for up to %s in the last minute, before the application has them.", span(m.wait))
	}
}

// service tells of connectors and messages.
func (l *findingList) service() {
	for _, one := range l.f.snapshot.Connectors {
		if one.Status == gatewayspec.Down {
			l.add(levelBad, "connectors", "%s has been down for %s: %s", safe(one.Name), span(l.f.now.Sub(one.Since).Seconds()), shorten(safe(one.Problem)))
		}
	}
	for _, one := range l.f.snapshot.Pools {
		if one.Waiting > 0 && one.InUse >= one.Open {
			l.add(levelWarn, "connectors", "%s for a connection to postgres.%s: all %d are in use.",
				plural(one.Waiting, "call waits", "calls wait"), safe(one.Key), one.InUse)
		}
	}
	if events := l.f.snapshot.Events; events != nil && events.Waiting > manyWaiting {
		l.add(levelWarn, "connectors", "%d messages wait for a free core.", events.Waiting)
	}
}

// processes tells of those beside the workers that are missing.
func (l *findingList) processes() {
	for _, one := range l.f.snapshot.Daemons {
		if one.PID == 0 {
			l.add(levelWarn, "processes", "A daemon does not run: %s", shorten(safe(one.Command)))
		}
	}
}

// shorten cuts a text to what stands in a sentence.
func shorten(text string) string {
	const most = 120
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// span writes a duration for people.
func span(seconds float64) string {
	switch {
	case seconds < 0.0095:
		return fmt.Sprintf("%.1f ms", seconds*1000)
	case seconds < 0.9995:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	case seconds < 9.95:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 120:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 2*3600:
		return fmt.Sprintf("%.0f min", seconds/60)
	case seconds < 2*86400:
		return fmt.Sprintf("%.0f h", seconds/3600)
	}
	return fmt.Sprintf("%.0f days", seconds/86400)
}
