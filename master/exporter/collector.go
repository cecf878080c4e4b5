package exporter

import (
	"github.com/prometheus/client_golang/prometheus"

	"envoxyd/master/stats"
)

// namespace begins the names of all metrics.
const namespace = "envoxyd_"

// collector makes metrics of one snapshot.
type collector struct{ snapshot *stats.Snapshot }

// family is all metrics of one name: what it is, and how its values are read from a snapshot.
type family struct {
	desc *prometheus.Desc
	read func(s *stats.Snapshot, emit func(prometheus.Metric))
}

// add passes on one value with those of the labels, in the order of their declaration.
type add func(value float64, labels ...string)

func counter(name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	return values(prometheus.CounterValue, name, help, labels, read)
}

func gauge(name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	return values(prometheus.GaugeValue, name, help, labels, read)
}

func values(kind prometheus.ValueType, name, help string, labels []string, read func(s *stats.Snapshot, add add)) family {
	desc := prometheus.NewDesc(namespace+name, help, labels, nil)
	return family{desc, func(s *stats.Snapshot, emit func(prometheus.Metric)) {
		read(s, func(value float64, labels ...string) {
			emit(prometheus.MustNewConstMetric(desc, kind, value, labels...))
		})
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
		f.read(c.snapshot, func(m prometheus.Metric) { to <- m })
	}
}
