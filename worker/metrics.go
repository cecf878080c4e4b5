package worker

import (
	"math"
	"sync"

	"envoxyd/internal/shm"
	"envoxyd/routing"
)

// metrics are those of the instance, as rules and log lines use them; the zero value has none.
type metrics struct {
	mu     sync.Mutex   // guards the names that memory knows
	memory *shm.Metrics // nil: none are kept
}

// open maps the metrics behind a descriptor.
func (m *metrics) open(fd int) (err error) {
	if m.memory == nil && fd >= 0 {
		m.memory, err = shm.OpenMetrics(fd)
	}
	return err
}

// find returns nil where there is none of that name.
func (m *metrics) find(name string) *shm.Metric {
	if m.memory == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memory.Find(name)
}

// value is 0 for a metric that there is not.
func (m *metrics) value(name string) int64 {
	if metric := m.find(name); metric != nil {
		return metric.Value.Load()
	}
	return 0
}

// change calculates with a metric, as uwsgi.metric_inc and its kin do; false: there is none of that name.
func (m *metrics) change(name string, op routing.Operation, by int64) bool {
	metric := m.find(name)
	if metric == nil {
		return false
	}
	switch op {
	case routing.Add:
		metric.Value.Add(by)
	case routing.Subtract:
		metric.Value.Add(-by)
	default:
		for {
			now := metric.Value.Load()
			if metric.Value.CompareAndSwap(now, calculated(op, now, by)) {
				break
			}
		}
	}
	return true
}

// calculated is what a metric becomes. What cannot be divided stays.
func calculated(op routing.Operation, now, by int64) int64 {
	switch op {
	case routing.Multiply:
		return now * by
	case routing.Divide:
		if by == 0 || by == -1 && now == math.MinInt64 {
			return now
		}
		return now / by
	}
	return by
}
