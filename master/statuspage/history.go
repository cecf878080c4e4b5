package statuspage

import (
	"math"
	"strconv"
	"time"

	"envoxyd/internal/latency"
	"envoxyd/master/stats"
)

// historyLength is how many points are kept, one a second.
const historyLength = 600

// point is what was seen at one moment, and what has happened since the point before. NaN stands for what is not known.
type point struct {
	at                         time.Time
	requests                   float64 // a second, as are the next three
	clientErrors, serverErrors float64 // answered with 4xx and 5xx
	events                     float64 // messages from brokers and peers
	p50, p95, p99              float64 // of the time that requests took, in seconds
	wait                       float64 // p95 of the time that they waited for a core of the worker
	queue                      float64 // connections that wait on the fullest socket
	busy, workers              float64 // workers with a request in hand; with a process
	inHand                     float64 // requests
	harakiris, respawns        float64 // since the point before, as are the next two
	reloads, failedReloads     float64
}

// columns are the numbers of a point under their names in events.
var columns = []struct {
	name  string
	value func(p *point) float64
}{
	{"requests", func(p *point) float64 { return p.requests }},
	{"errors4", func(p *point) float64 { return p.clientErrors }},
	{"errors5", func(p *point) float64 { return p.serverErrors }},
	{"events", func(p *point) float64 { return p.events }},
	{"p50", func(p *point) float64 { return p.p50 }},
	{"p95", func(p *point) float64 { return p.p95 }},
	{"p99", func(p *point) float64 { return p.p99 }},
	{"wait", func(p *point) float64 { return p.wait }},
	{"queue", func(p *point) float64 { return p.queue }},
	{"busy", func(p *point) float64 { return p.busy }},
	{"workers", func(p *point) float64 { return p.workers }},
	{"in_hand", func(p *point) float64 { return p.inHand }},
	{"harakiris", func(p *point) float64 { return p.harakiris }},
	{"respawns", func(p *point) float64 { return p.respawns }},
	{"reloads", func(p *point) float64 { return p.reloads }},
	{"failed_reloads", func(p *point) float64 { return p.failedReloads }},
}

// number is written with five digits, which are enough to draw it; NaN as null.
type number float64

// MarshalJSON writes the number.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 5, 64), nil
}

// document is the point as events have it.
func (p *point) document() map[string]any {
	text := map[string]any{"t": p.at.Unix()}
	for _, c := range columns {
		text[c.name] = number(c.value(p))
	}
	return text
}

// history is a ring of the last points.
type history struct {
	points [historyLength]point
	noted  int // points so far; the last one is number noted-1
}

func (h *history) add(p point) {
	h.points[h.noted%historyLength] = p
	h.noted++
}

// until are the points up to a number, the oldest first; later ones if all of these are forgotten.
func (h *history) until(number int) []point {
	first := max(h.noted-historyLength, 0)
	all := make([]point, 0, historyLength)
	for i := first; i <= max(number, first) && i < h.noted; i++ {
		all = append(all, h.points[i%historyLength])
	}
	return all
}

// columnsOf has a list for each number of the points.
func columnsOf(points []point) map[string]any {
	times := make([]int64, len(points))
	for i := range points {
		times[i] = points[i].at.Unix()
	}
	text := map[string]any{"length": historyLength, "t": times}
	for _, c := range columns {
		values := make([]number, len(points))
		for i := range points {
			values[i] = number(c.value(&points[i]))
		}
		text[c.name] = values
	}
	return text
}

// counted is what has been counted up to a moment.
type counted struct {
	at     time.Time
	life   stats.Life
	events uint64
}

func countedBy(s *stats.Snapshot, now time.Time) counted {
	c := counted{at: now, life: s.Life}
	if s.Events != nil {
		c.events = s.Events.Handled + s.Events.Failed
	}
	return c
}

// newPoint is what the snapshot shows, and what has happened since before.
func newPoint(s *stats.Snapshot, before, now *counted) point {
	totals := s.Totals()
	p := point{
		at: now.at, queue: float64(s.ListenQueue()), busy: float64(totals.Busy), workers: float64(totals.Active), inHand: float64(s.InHand()),
		requests: math.NaN(), clientErrors: math.NaN(), serverErrors: math.NaN(), events: math.NaN(),
		p50: math.NaN(), p95: math.NaN(), p99: math.NaN(), wait: math.NaN(),
	}
	seconds := now.at.Sub(before.at).Seconds()
	if before.at.IsZero() || seconds <= 0 {
		return p
	}
	p.requests = since(before.life.Requests, now.life.Requests) / seconds
	p.clientErrors = since(before.life.Responses[4], now.life.Responses[4]) / seconds
	p.serverErrors = since(before.life.Responses[5], now.life.Responses[5]) / seconds
	p.events = since(before.events, now.events) / seconds
	p.harakiris = since(before.life.Harakiris, now.life.Harakiris)
	p.respawns = since(before.life.Respawns, now.life.Respawns)
	p.reloads = since(before.life.Reloads, now.life.Reloads)
	p.failedReloads = since(before.life.FailedReloads, now.life.FailedReloads)
	took, waited := now.life.Latency, now.life.QueueTime
	took.Sub(&before.life.Latency)
	waited.Sub(&before.life.QueueTime)
	p.p50, p.p95, p.p99 = quantile(&took, 0.5), quantile(&took, 0.95), quantile(&took, 0.99)
	p.wait = quantile(&waited, 0.95)
	return p
}

// quantile is one in seconds; NaN: nothing was counted.
func quantile(h *latency.Histogram, q float64) float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return h.Quantile(q).Seconds()
}

// since is how much a counter has grown.
func since(before, now uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}
