package statuspage

import (
	"time"

	"envoxyd/master/stats"
)

// What is looked back at: a minute in steps, and a few seconds of each worker.
const (
	minuteSteps  = 12
	minuteStep   = time.Minute / minuteSteps
	workerWindow = 10 // points
)

// recent is what was counted a short time ago.
type recent struct {
	last    counted
	minute  [minuteSteps + 1]counted // a ring
	steps   int                      // so far
	workers [workerWindow]workerCounts
	noted   int
}

// workerCounts are the requests of each worker, by its number.
type workerCounts struct {
	at       time.Time
	requests map[int]uint64
}

func (r *recent) add(now counted, s *stats.Snapshot) {
	if r.steps == 0 || now.at.Sub(r.minute[(r.steps-1)%len(r.minute)].at) >= minuteStep {
		r.minute[r.steps%len(r.minute)] = now
		r.steps++
	}
	requests := make(map[int]uint64, len(s.Workers))
	for i := range s.Workers {
		requests[s.Workers[i].ID] = s.Workers[i].Requests
	}
	r.workers[r.noted%workerWindow] = workerCounts{now.at, requests}
	r.noted++
	r.last = now
}

// summary is what has happened in the last minute, or since the page knows.
type summary struct {
	seconds                    float64
	requests                   float64 // a second
	p50, p95, p99, max         float64 // seconds; NaN: nothing was counted
	wait                       float64 // p95; likewise
	answered, errors4, errors5 float64 // requests with a status; with 4xx, with 5xx
	harakiris, respawns        float64
}

func (r *recent) summary() summary {
	before := &r.minute[max(r.steps-len(r.minute), 0)%len(r.minute)]
	took, waited := r.last.life.Latency, r.last.life.QueueTime
	took.Sub(&before.life.Latency)
	waited.Sub(&before.life.QueueTime)
	s := summary{
		seconds: r.last.at.Sub(before.at).Seconds(),
		p50:     quantile(&took, 0.5), p95: quantile(&took, 0.95), p99: quantile(&took, 0.99), max: quantile(&took, 1), wait: quantile(&waited, 0.95),
		errors4: since(before.life.Responses[4], r.last.life.Responses[4]), errors5: since(before.life.Responses[5], r.last.life.Responses[5]),
		harakiris: since(before.life.Harakiris, r.last.life.Harakiris), respawns: since(before.life.Respawns, r.last.life.Respawns),
	}
	for class := 1; class < len(before.life.Responses); class++ {
		s.answered += since(before.life.Responses[class], r.last.life.Responses[class])
	}
	if s.seconds > 0 {
		s.requests = since(before.life.Requests, r.last.life.Requests) / s.seconds
	}
	return s
}

// rates are how many requests a second each worker has served in the last few.
func (r *recent) rates(s *stats.Snapshot, now time.Time) map[int]float64 {
	oldest := &r.workers[max(r.noted-workerWindow, 0)%workerWindow]
	seconds := now.Sub(oldest.at).Seconds()
	rates := make(map[int]float64, len(s.Workers))
	if seconds <= 0 {
		return rates
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		rates[w.ID] = since(oldest.requests[w.ID], w.Requests) / seconds
	}
	return rates
}
