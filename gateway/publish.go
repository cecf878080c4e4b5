package gateway

import (
	"fmt"
	"slices"

	"envoxyd/transports/mqtt"
)

// publish sends a message to a broker, or to the service itself.
func (g *Gateway) publish(generation int, server, topic string, payload []byte, qos byte, retain bool) error {
	b := g.broker(server)
	if b != nil {
		if qos > 2 {
			return fmt.Errorf("%w: QoS %d", errInvalid, qos)
		}
		return b.client.Publish(topic, payload, qos, retain)
	}
	if !mqtt.ValidTopic(topic) {
		return mqtt.ErrTopic
	}
	g.earlyMu.Lock()
	later := g.applied < generation
	g.earlyMu.Unlock()
	if server != localServer || later {
		return g.keepForLater(early{generation, server, topic, payload, qos, retain})
	}
	if waiting, _ := g.queue.counts(); waiting >= queueLimit {
		return mqtt.ErrQueueFull
	}
	g.received(origin{server: server}, &mqtt.Message{Topic: topic, Payload: payload, QoS: qos})
	return nil
}

func (g *Gateway) connected(server string) bool {
	b := g.broker(server)
	if b == nil {
		return server == localServer
	}
	return b.client.Up()
}

// early is a message that was published before its broker was connected: at import, in a
// generation that does not serve yet, or while the gateway before an upgrade is leaving.
type early struct {
	generation int
	server     string
	topic      string
	payload    []byte
	qos        byte
	retain     bool
}

// earlyLimit bounds them.
const earlyLimit = 1000

// keepForLater keeps a message for a generation that does not serve yet.
func (g *Gateway) keepForLater(m early) error {
	g.earlyMu.Lock()
	defer g.earlyMu.Unlock()
	if g.applied >= m.generation {
		return fmt.Errorf("%w: mqtt_servers.%s", errUnknown, m.server)
	}
	if len(g.early) >= earlyLimit {
		return mqtt.ErrQueueFull
	}
	g.early = append(g.early, m)
	return nil
}

// publishEarly sends what was kept for the generation, which is connected now.
func (g *Gateway) publishEarly(generation int) {
	g.earlyMu.Lock()
	g.applied = max(g.applied, generation)
	kept := g.early
	g.early = slices.DeleteFunc(slices.Clone(kept), func(m early) bool { return m.generation <= generation })
	g.earlyMu.Unlock()
	for _, m := range kept {
		if m.generation > generation {
			continue
		}
		if err := g.publish(m.generation, m.server, m.topic, m.payload, m.qos, m.retain); err != nil {
			g.lost(nil, "[MQTT] %s: %q: dropped a message that was published early: %v", m.server, m.topic, err)
		}
	}
}
