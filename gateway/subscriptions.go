package gateway

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/transports/mqtt"
)

// subscribe adds a filter while the service runs.
func (g *Gateway) subscribe(generation int, s Subscription) error {
	if err := s.check(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.state.Registrations[generation]
	if r == nil {
		return fmt.Errorf("%w: this worker is leaving", errInvalid)
	}
	if s.Server != localServer && g.broker(s.Server) == nil && generation == g.state.Active {
		return fmt.Errorf("%w: mqtt_servers.%s", errUnknown, s.Server)
	}
	if slices.Contains(r.Subscriptions, s) {
		return nil
	}
	r.Subscriptions = append(r.Subscriptions, s)
	g.keepState()
	if generation == g.state.Active {
		g.resubscribe(s.Server, r)
	}
	return nil
}

// unsubscribe removes a filter, whoever asked for it.
func (g *Gateway) unsubscribe(generation int, server, filter string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.state.Registrations[generation]; r != nil {
		r.Subscriptions = slices.DeleteFunc(r.Subscriptions, func(s Subscription) bool { return s.Server == server && s.Filter == filter })
		g.keepState()
		if generation == g.state.Active {
			g.resubscribe(server, r)
		}
	}
}

// resubscribe applies a change of the subscriptions of one broker; a first one with QoS 1 or
// 2 may need another kind of session. Called with g.mu held.
func (g *Gateway) resubscribe(server string, r *Registration) {
	g.listen(r)
	if wanted, named := g.conf.MQTT[server]; named {
		g.connect(server, &wanted, r, false)
	}
}

// forgetOwner: the process has ended, and with it the handlers that only it had.
func (g *Gateway) forgetOwner(owner int) {
	if owner == 0 || unix.Kill(owner, 0) == nil { // only one of its threads has ended
		return
	}
	g.mu.Lock()
	for _, r := range g.state.Registrations {
		before := len(r.Subscriptions)
		touched := map[string]bool{}
		r.Subscriptions = slices.DeleteFunc(r.Subscriptions, func(s Subscription) bool {
			if s.Owner == owner {
				touched[s.Server] = true
			}
			return s.Owner == owner
		})
		if len(r.Subscriptions) != before {
			g.keepState()
		}
		if r.Generation == g.state.Active && !g.quiet.Load() {
			for server := range touched {
				g.resubscribe(server, r)
			}
		}
	}
	g.mu.Unlock()
	g.orphaned(g.queue.drop(owner))
}

// orphaned drops messages whose owner has ended.
func (g *Gateway) orphaned(items []*item) {
	for _, i := range items {
		g.lost(i.tallies, "[MQTT] %s: %q: dropped a message: process %d, which alone had the handler, has ended", i.server, i.message.Topic, i.owner)
		g.ack(i, true)
	}
}

// receivers lists whose handlers a message is for, with the counters of the filters that say so.
func (g *Gateway) receivers(from origin, topic string) []receiver {
	all := g.receiversBy(from, topic)
	if len(all) == 0 { // a reload has changed what is shared, and this message was waiting
		all = g.receiversBy(origin{from.server, !from.shared}, topic)
	}
	return all
}

func (g *Gateway) receiversBy(from origin, topic string) (all []receiver) {
	for _, s := range *g.subscriptions.Load() {
		if s.origin() != from || !mqtt.Match(s.Filter, topic) {
			continue
		}
		at := slices.IndexFunc(all, func(r receiver) bool { return r.owner == s.Owner })
		switch {
		case at < 0:
			all = append(all, receiver{s.Owner, tallies{s.tally}})
		case !slices.Contains(all[at].tallies, s.tally): // a filter may have several handlers
			all[at].tallies = append(all[at].tallies, s.tally)
		}
	}
	return all
}

// names lists the handlers that were added after the start and are for messages of the
// delivery, each with its filter.
func (g *Gateway) names(d *delivery) (names [][2]string) {
	for _, s := range *g.subscriptions.Load() {
		if s.Name == "" || s.origin() != d.origin || slices.Contains(names, [2]string{s.Filter, s.Name}) {
			continue
		}
		if slices.ContainsFunc(d.lanes, func(l *lane) bool { return mqtt.Match(s.Filter, l.key.topic) }) {
			names = append(names, [2]string{s.Filter, s.Name})
		}
	}
	return names
}

// listen makes the registration's subscriptions the ones that messages are matched with.
func (g *Gateway) listen(r *Registration) {
	subscriptions := make([]listened, 0, len(r.Subscriptions))
	for _, s := range r.Subscriptions {
		subscriptions = append(subscriptions, listened{s, g.counting.under(gatewayspec.TallyFilter + s.Server + "\x00" + s.Filter)})
	}
	g.subscriptions.Store(&subscriptions)
}
