package master

import (
	"time"

	"envoxyd/internal/shm"
	"envoxyd/master/metrics"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

const metricsMemory = "metrics"

// metricsWanted tells whether metrics are collected; sending statistics somewhere needs them too.
func metricsWanted(cfg *uwsgiopts.Config) bool { return cfg.EnableMetrics || len(cfg.Pushes) > 0 }

// metricsHost is the master as metrics see it.
type metricsHost struct{ m *master }

// Logf logs.
func (metricsHost) Logf(format string, args ...any) { logf(format, args...) }

// Raise raises an alarm.
func (h metricsHost) Raise(alarm string, message []byte) { h.m.logs.alarms.raise(alarm, message) }

// openMetrics maps the memory of metrics, which an older master may have passed on.
func (m *master) openMetrics() error {
	file, err := m.owned.kept.Memory(metricsMemory, shm.NewMetricsFile)
	if err != nil {
		return err
	}
	memory, err := shm.OpenMetrics(int(file.Fd()))
	if err != nil {
		return err
	}
	m.metrics = metrics.New(metricsHost{m}, memory)
	m.snmpValues, err = shm.OpenSNMPValues(int(file.Fd()))
	return err
}

// collectMetrics brings them up to date.
func (m *master) collectMetrics(now time.Time) {
	if m.metrics == nil || !metricsWanted(m.current.cfg) {
		return
	}
	s := m.snapshot()
	s.Added = nil
	m.metrics.Collect(s, now)
}

// showMetrics adds the metrics of the configuration to a snapshot.
func (m *master) showMetrics(s *stats.Snapshot, cfg *uwsgiopts.Config) {
	if m.metrics == nil || !metricsWanted(cfg) {
		return
	}
	s.ShowMetrics = &stats.MetricsDetail{Workers: true, Cores: !cfg.MetricsNoCores}
	s.Added = m.metrics.Added()
}
