package exporter

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"envoxyd/internal/latency"
	"envoxyd/master/stats"
)

// namespace begins the names of all metrics.
const namespace = "envoxyd_"

// collector makes metrics of one snapshot.
type collector struct{ snapshot *stats.Snapshot }

// family is all metrics of one name: what it is, and how its values are read from a snapshot.
type family struct {
	name, kind, help string
	labels           []string

	desc *prometheus.Desc
	read func(s *stats.Snapshot, emit func(prometheus.Metric))
}

// add passes on one value with those of the labels, in the order of their declaration.
type add func(value float64, labels ...string)

func counter(name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	return values("counter", prometheus.CounterValue, name, help, labels, read)
}

func gauge(name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	return values("gauge", prometheus.GaugeValue, name, help, labels, read)
}

func values(word string, kind prometheus.ValueType, name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	name = namespace + name
	desc := prometheus.NewDesc(name, help, labels, nil)
	return family{name, word, help, labels, desc, func(s *stats.Snapshot, emit func(prometheus.Metric)) {
		read(s, func(value float64, labels ...string) {
			for i := range labels { // names of files and topics may be any bytes
				labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
			}
			m, err := prometheus.NewConstMetric(desc, kind, value, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(desc, err)
			}
			emit(m)
		})
	}}
}

// buckets are the upper bounds that histograms have for Prometheus; the histograms themselves are finer.
var buckets = []time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// durations is a family of one histogram.
func durations(name, help string, read func(s *stats.Snapshot) *latency.Histogram) family {
	name = namespace + name
	desc := prometheus.NewDesc(name, help, nil, nil)
	return family{name, "histogram", help, nil, desc, func(s *stats.Snapshot, emit func(prometheus.Metric)) {
		h := read(s)
		under := make(map[float64]uint64, len(buckets))
		for _, bound := range buckets {
			under[bound.Seconds()] = h.Under(bound)
		}
		emit(prometheus.MustNewConstHistogram(desc, h.Count(), h.Sum.Seconds(), under))
	}}
}

// Describe sends what all metrics are.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

// Collect sends the metrics of the snapshot.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, f := range families {
		f.collect(c.snapshot, to)
	}
}

// collect sends the metrics of one name. The registry calls it on a goroutine of its own, where a panic would end the instance.
func (f *family) collect(s *stats.Snapshot, to chan<- prometheus.Metric) {
	defer func() {
		if fault := recover(); fault != nil {
			to <- prometheus.NewInvalidMetric(f.desc, fmt.Errorf("%v", fault))
		}
	}()
	f.read(s, func(m prometheus.Metric) { to <- m })
}
