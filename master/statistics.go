package master

import (
	"context"

	"envoxyd/master/exporter"
	"envoxyd/master/management"
	"envoxyd/master/sockets"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// statsHost is the master as the statistics see it.
type statsHost struct{ m *master }

// Snapshot is the state now; for the loop only.
func (h statsHost) Snapshot() *stats.Snapshot { return h.m.snapshot() }

// Ask gets a snapshot from the loop; nil when ctx has ended before.
func (h statsHost) Ask(ctx context.Context) *stats.Snapshot {
	answer := make(chan *stats.Snapshot, 1)
	select {
	case h.m.events <- func(m *master) { answer <- m.snapshot() }:
	case <-ctx.Done():
		return nil
	}
	select {
	case snapshot := <-answer:
		return snapshot
	case <-ctx.Done():
		return nil
	}
}

// Beside does work on a goroutine of its own, and then what it returns on the loop.
func (h statsHost) Beside(work func(context.Context) (then func())) {
	h.m.beside(func() event {
		then := work(h.m.commands.ctx)
		return func(*master) { then() }
	})
}

// Logf logs.
func (statsHost) Logf(format string, args ...any) { logf(format, args...) }

// serveStats serves the sockets of --stats, in the form that the configuration wants.
func (m *master) serveStats() {
	form := stats.ServerForm{JSONForm: jsonForm(m.cfg), HTTP: m.cfg.StatsHTTP}
	m.stats.Replace(m.listeners(sockets.Stats), stats.Service(statsHost{m}, form))
}

// servePrometheus serves the sockets of --prometheus.
func (m *master) servePrometheus() {
	m.prometheus.Replace(m.listeners(sockets.Prometheus), exporter.Service(statsHost{m}))
}

// listeners are the sockets on which the master answers in that way.
func (m *master) listeners(protocol string) (all []management.Listener) {
	for _, s := range m.sockets {
		if s.Protocol == protocol {
			all = append(all, management.Listener{FD: s.FD, Name: s.Name})
		}
	}
	return all
}

// replacePushers has the statistics sent to whom the configuration names.
func (m *master) replacePushers(cfg *uwsgiopts.Config) {
	settings := stats.PushSettings{PushConfig: cfg.PushConfig, Dir: workDir(cfg), JSON: jsonForm(cfg),
		Processes: commandStarter{m.commands}, NoCores: cfg.MetricsNoCores}
	for _, s := range m.sockets {
		if s.ForWorkers() {
			settings.Socket = s.Name
			break
		}
	}
	m.pushers.Replace(settings)
}

func jsonForm(cfg *uwsgiopts.Config) stats.JSONForm {
	return stats.JSONForm{Minified: cfg.StatsMinified, NoCores: cfg.StatsNoCores, NoMetrics: cfg.StatsNoMetrics}
}
