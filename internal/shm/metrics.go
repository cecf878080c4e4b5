package shm

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MetricsRoom is how many metrics there is room for. What is not used costs no memory.
const MetricsRoom = 1 << 16

// Metric is one number that any process may read and change, at once and without a lock: there is nothing that a killed
// process could leave half done. internal/layout writes it down for Python.
type Metric struct {
	Value atomic.Int64
	name  [120]byte
}

const metricSize = 128

var _ [metricSize]byte = [unsafe.Sizeof(Metric{})]byte{}

// MetricNameSize is how long the name of a metric may be, in bytes.
const MetricNameSize = 119

// Name is the metric's name.
func (m *Metric) Name() string {
	name, _, _ := bytes.Cut(m.name[:], []byte{0})
	return string(name)
}

// Metrics are all of them. Only the master adds to them, and none is ever taken away: the value of one whose generation
// has gone is there for the next one. The first line's value is how many there are.
type Metrics struct {
	memory []byte
	byName map[string]int
}

// NewMetricsFile makes the memory, with that of SNMPValues behind; it is closed on exec.
func NewMetricsFile() (*os.File, error) {
	return newFile("envoxyd-metrics", (SNMPFirst+snmpCells)*metricSize)
}

// OpenMetrics maps the metrics behind a descriptor.
func OpenMetrics(fd int) (*Metrics, error) {
	memory, err := mapFile(fd, (MetricsRoom+1)*metricSize)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	m := &Metrics{memory, map[string]int{}}
	for number := 1; number <= m.Count(); number++ {
		m.byName[m.at(number).Name()] = number
	}
	return m, nil
}

func (m *Metrics) at(number int) *Metric {
	return (*Metric)(unsafe.Pointer(&m.memory[number*metricSize]))
}

// Count is how many metrics there are.
func (m *Metrics) Count() int { return int(min(m.at(0).Value.Load(), MetricsRoom)) }

// Get returns the metric of that name, which it adds if there is none. isNew: it has. nil: there is no room, or the name
// is too long.
func (m *Metrics) Get(name string) (metric *Metric, isNew bool) {
	if number := m.byName[name]; number != 0 {
		return m.at(number), false
	}
	number := m.Count() + 1
	if number > MetricsRoom || len(name) > MetricNameSize {
		return nil, false
	}
	metric = m.at(number)
	copy(metric.name[:], name)
	m.byName[name] = number
	m.at(0).Value.Store(int64(number)) // from now on others see it
	return metric, true
}

// Find returns the metric of that name, also one that was added since OpenMetrics; nil: there is none. It may be called by
// one goroutine at a time.
func (m *Metrics) Find(name string) *Metric {
	if m.byName[name] == 0 {
		for number := len(m.byName) + 1; number <= m.Count(); number++ {
			m.byName[m.at(number).Name()] = number
		}
	}
	if number := m.byName[name]; number != 0 {
		return m.at(number)
	}
	return nil
}

// Close unmaps the memory.
func (m *Metrics) Close() error { return unix.Munmap(m.memory) }
