package stats

import (
	"maps"
	"slices"
	"time"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/monotime"
)

// Connector is a connection of an Envoxy service to a broker, a database or another service, as the
// event gateway has found it.
type Connector struct {
	Name    string        // its place in envoxy.json: "mqtt.broker"
	Status  string        // one of gatewayspec's: Up, Down, Unknown
	Since   time.Time     // when it got this status
	Checked time.Time     // when the gateway looked last
	Took    time.Duration // that look
	Problem string        // why it is down
}

// Known tells whether it was looked at lately.
func (c *Connector) Known() bool { return c.Status != gatewayspec.Unknown }

// Up tells whether it answered then.
func (c *Connector) Up() bool { return c.Status == gatewayspec.Up }

// staleLooks is after how many intervals without a look nothing is known of a connector any more, and
// staleMargin what is granted on top; /health of the service has the same limits.
const (
	staleLooks  = 3
	staleMargin = 5 * time.Second
)

// ReadConnectors fills in what the event gateway has noted of connectors.
func (s *Snapshot) ReadConnectors(health *gatewayspec.Health) {
	now := time.Now()
	stale := time.Duration(staleLooks*health.Every*float64(time.Second)) + staleMargin
	s.Connectors = nil
	for _, name := range slices.Sorted(maps.Keys(health.Connectors)) {
		found := health.Connectors[name]
		one := Connector{
			Name: name, Status: found.Status, Problem: found.Error,
			Since:   time.UnixMilli(int64(found.Since * 1000)),
			Checked: monotime.Time(int64(found.Checked * 1e9)),
			Took:    time.Duration(found.Millis * float64(time.Millisecond)),
		}
		if now.Sub(one.Checked) > stale {
			one.Status = gatewayspec.Unknown
		}
		s.Connectors = append(s.Connectors, one)
	}
}
