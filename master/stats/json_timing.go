package stats

import (
	"fmt"

	"envoxyd/internal/latency"
)

// durationsObject is a histogram in short; times are microseconds.
type durationsObject struct {
	Count uint64 `json:"count"`
	P50   uint64 `json:"p50"`
	P95   uint64 `json:"p95"`
	P99   uint64 `json:"p99"`
	Max   uint64 `json:"max"`
}

func durations(h *latency.Histogram) durationsObject {
	return durationsObject{h.Count(), micros(h.Quantile(0.5)), micros(h.Quantile(0.95)), micros(h.Quantile(0.99)), micros(h.Max)}
}

type timingObject struct {
	Responses map[string]uint64 `json:"responses"` // by class: "2xx"; "none": no status was sent
	Latency   durationsObject   `json:"latency"`
	QueueTime durationsObject   `json:"queue_time"`
	Events    durationsObject   `json:"events"`
}

// ResponseClass is the name of a class of responses, from 0: "none", "1xx" and so on.
func ResponseClass(class int) string {
	if class == 0 {
		return "none"
	}
	return fmt.Sprintf("%dxx", class)
}

func (t *Timing) object() timingObject {
	object := timingObject{map[string]uint64{}, durations(&t.Latency), durations(&t.QueueTime), durations(&t.Events)}
	for class, count := range t.Responses {
		object.Responses[ResponseClass(class)] = count
	}
	return object
}

type lifeObject struct {
	Requests      uint64 `json:"requests"`
	Exceptions    uint64 `json:"exceptions"`
	TX            uint64 `json:"tx"` // bytes
	Harakiris     uint64 `json:"harakiri_count"`
	Respawns      uint64 `json:"respawn_count"`
	Reloads       uint64 `json:"reload_count"`
	FailedReloads uint64 `json:"failed_reload_count"`
	timingObject
}

func (l *Life) object() lifeObject {
	return lifeObject{l.Requests, l.Exceptions, l.Sent, l.Harakiris, l.Respawns, l.Reloads, l.FailedReloads, l.Timing.object()}
}

type reloadObject struct {
	At      int64  `json:"at"`      // unix seconds
	Took    uint64 `json:"took"`    // microseconds
	Problem string `json:"problem"` // "": it has gone well
}

func reloadObjects(reloads []Reload) []reloadObject {
	all := []reloadObject{}
	for _, r := range reloads {
		all = append(all, reloadObject{r.At.Unix(), micros(r.Took), r.Problem})
	}
	return all
}
