package latency

import (
	"sync/atomic"
	"time"
)

// Histogram is a number of durations. Its zero value is empty.
type Histogram struct {
	Counts [Buckets]uint64
	Sum    time.Duration
	Max    time.Duration
}

// Note counts a duration.
func (h *Histogram) Note(d time.Duration) {
	h.Counts[Index(int64(d))]++
	h.Sum += d
	h.Max = max(h.Max, d)
}

// Add adds what another histogram has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
	h.Max = max(h.Max, other.Max)
}

// Sub takes away what an earlier state of the same histogram had counted already. Max stays.
func (h *Histogram) Sub(earlier *Histogram) {
	for i, n := range earlier.Counts {
		h.Counts[i] -= min(n, h.Counts[i])
	}
	h.Sum = max(h.Sum-earlier.Sum, 0)
}

// Count is how many durations were counted.
func (h *Histogram) Count() (n uint64) {
	for _, count := range h.Counts {
		n += count
	}
	return n
}

// Under is how many durations were shorter than bound, which has to be one of Bounds.
func (h *Histogram) Under(bound time.Duration) (n uint64) {
	for _, count := range h.Counts[:Index(int64(bound))] {
		n += count
	}
	return n
}

// Quantile is the duration that the part q, 0 to 1, of all durations does not exceed, as exactly as the buckets allow; 0 if
// nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var before float64
	for i, count := range h.Counts {
		n := float64(count)
		if n == 0 || before+n < rank {
			before += n
			continue
		}
		return h.within(i, (rank-before)/n)
	}
	return h.Max
}

// within is where in a bucket a part of what it holds ends. A bucket is taken to be filled evenly.
func (h *Histogram) within(bucket int, part float64) time.Duration {
	if bucket == Buckets-1 {
		return h.Max
	}
	low := int64(0)
	if bucket > 0 {
		low = bounds[bucket-1]
	}
	return min(time.Duration(low)+time.Duration(part*float64(bounds[bucket]-low)), h.Max)
}

// Shared is a histogram in memory that processes share. One of them writes to it, all may read.
type Shared struct {
	counts [Buckets]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
	max    atomic.Uint64 // nanoseconds
}

// Note counts a duration in nanoseconds. Only the writer may call it.
func (s *Shared) Note(nanoseconds int64) {
	nanoseconds = max(nanoseconds, 0)
	count := &s.counts[Index(nanoseconds)]
	count.Store(count.Load() + 1) // one writer: no need of a locked add
	s.sum.Store(s.sum.Load() + uint64(nanoseconds))
	if uint64(nanoseconds) > s.max.Load() {
		s.max.Store(uint64(nanoseconds))
	}
}

// AddTo adds what was counted to a histogram.
func (s *Shared) AddTo(h *Histogram) {
	longest := s.max.Load()
	if longest == 0 && s.sum.Load() == 0 {
		return
	}
	for i := range s.counts {
		h.Counts[i] += s.counts[i].Load()
	}
	h.Sum += time.Duration(s.sum.Load())
	h.Max = max(h.Max, time.Duration(longest))
}

// MoveTo adds what was counted to another one and forgets it. No process may write to either.
func (s *Shared) MoveTo(to *Shared) {
	for i := range s.counts {
		to.counts[i].Add(s.counts[i].Swap(0))
	}
	to.sum.Add(s.sum.Swap(0))
	to.max.Store(max(to.max.Load(), s.max.Swap(0)))
}
