package gateway

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/gateway/sidecar"
	"envoxyd/modules/lenient"
	"envoxyd/transports/mqtt"
)

// localServer is the key of events that need no broker: what is published there is
// delivered to the service's own subscriptions, unless the configuration has a broker
// of that name.
const localServer = "local"

// broker is one configured broker and the connection to it.
type broker struct {
	cfg      mqtt.Config // without login
	ours     bool        // the client's name was made up: its session ends with the service
	client   *mqtt.Client
	filters  map[string]byte
	sharing  atomic.Pointer[sharing] // nil: no subscription is shared
	embedded *embeddedBroker
	wanted   lenient.Toggle // an embedded one
}

// clients are the connections to the broker.
func (b *broker) clients() []*mqtt.Client {
	if s := b.sharing.Load(); s != nil {
		return []*mqtt.Client{b.client, s.client}
	}
	return []*mqtt.Client{b.client}
}

func (b *broker) quiesce() {
	b.client.Quiesce()
	if s := b.sharing.Load(); s != nil {
		s.quiesce()
	}
}

// connectWait is how long a start waits for brokers.
const connectWait = 3 * time.Second

// apply connects what the registration names, and closes what it no longer does.
// Subscriptions are made afterwards. Called with g.mu held.
//
// With again every filter is subscribed to again, which has brokers send what they retain:
// the code that handles it is new.
func (g *Gateway) apply(r *Registration, again bool) {
	c, err := readConf(r.Conf)
	if err != nil {
		g.errorf("%v", err)
	}
	g.conf = c
	level := sidecar.LevelInfo
	if c.Log.Level != nil {
		level = int(*c.Log.Level)
	}
	g.Log.Reconfigure(level, r.Service)
	g.listen(r)
	for key, b := range g.allBrokers() {
		if _, named := c.MQTT[key]; !named {
			g.closeBroker(key, b, true, false)
		}
	}
	for key, wanted := range c.MQTT {
		g.connect(key, &wanted, r, again)
	}
	for _, s := range r.Subscriptions {
		if _, named := c.MQTT[s.Server]; !named && s.Server != localServer {
			g.errorf("[MQTT] %q is not subscribed to: mqtt_servers has no %q", s.Filter, s.Server)
		}
	}
	g.health.reconfigure(c)
	g.publishEarly(r.Generation)
}

func (g *Gateway) connect(key string, wanted *brokerConf, r *Registration, again bool) {
	filters := r.filters(origin{server: key})
	if g.quiet.Load() {
		return
	}
	cfg := wanted.client(g.state.clientID(key, r.Service), reliable(filters))
	g.keepState() // the name must outlive us before a broker knows it
	user, password := wanted.login(r.Login)
	b := g.broker(key)
	if b != nil && wanted.Clean == nil && !b.cfg.Clean { // with the session the broker would forget what waits in it
		cfg.Clean = false
	}
	var embedded *embeddedBroker
	if b != nil && (!reflect.DeepEqual(b.cfg, cfg) || b.wanted != wanted.Embedded) {
		if wanted.Embedded && b.embedded != nil && b.cfg.Bind == cfg.Bind { // its other clients stay connected
			embedded, b.embedded = b.embedded, nil
		}
		g.closeBroker(key, b, false, false)
		b = nil
	}
	if b == nil {
		b = &broker{cfg: cfg, ours: wanted.ClientID == "", filters: map[string]byte{}, embedded: embedded, wanted: wanted.Embedded}
		if wanted.Embedded && embedded == nil {
			embedded, err := startEmbedded(cfg.Bind)
			if err != nil {
				g.errorf("[MQTT] %s: %v", key, err)
			} else {
				b.embedded = embedded
				g.logf("[MQTT] %s: the embedded broker listens on %s; publish to it with: mosquitto_pub %s -t %s -m '{}'",
					key, embedded.address, embedded.flags(), exampleTopic(filters))
			}
		}
		var err error
		b.client, err = mqtt.Open(withLogin(cfg, user, password), func(m *mqtt.Message) { g.received(origin{server: key}, m) },
			func(problem bool, text string) { g.brokerSays(key, problem, text) })
		if err != nil {
			g.errorf("[MQTT] %s: %v", key, err)
			b.stopEmbedded()
			return
		}
		g.setBroker(key, b)
	} else {
		b.client.SetLogin(user, password)
	}
	g.updateFilters(key, b.client, b.filters, filters, again)
	b.filters = filters
	g.share(key, b, withLogin(cfg, user, password), r, again)
}

// reliable tells whether one of the filters needs a session at the broker.
func reliable(filters map[string]byte) bool {
	for _, qos := range filters {
		if qos > 0 {
			return true
		}
	}
	return false
}

func (g *Gateway) brokerSays(key string, problem bool, text string) {
	g.tell(problem, "[MQTT] %s: %s", key, text)
}

func withLogin(cfg mqtt.Config, user, password string) mqtt.Config {
	cfg.User, cfg.Password = user, password
	return cfg
}

// updateFilters subscribes to what is new and unsubscribes from what is gone.
func (g *Gateway) updateFilters(key string, client *mqtt.Client, before, filters map[string]byte, again bool) {
	var gone []string
	for filter := range before {
		if _, stays := filters[filter]; !stays {
			gone = append(gone, filter)
		}
	}
	fresh := map[string]byte{}
	for filter, qos := range filters {
		if had, known := before[filter]; !known || had != qos || again {
			fresh[filter] = qos
		}
	}
	if len(gone) == 0 && len(fresh) == 0 {
		return
	}
	if err := client.Subscribe(fresh); err != nil {
		g.errorf("[MQTT] %s: %v", key, err)
	}
	_ = client.Unsubscribe(gone...) // what still comes has no handler
}

// closeBroker publishes what is queued and disconnects. What is left of a session whose name was made up is of no use to
// anybody if it is the last; with a successor it is this instance's next gateway that goes on with it.
func (g *Gateway) closeBroker(key string, b *broker, last, successor bool) {
	g.setBroker(key, nil)
	if s := b.sharing.Load(); s != nil {
		s.leave(successor)
	}
	b.client.Close(flushTime, last && b.ours)
	b.stopEmbedded()
}

// awaitBrokers waits, not for long, until each broker has been connected or tried.
func (g *Gateway) awaitBrokers() {
	var ready []<-chan struct{}
	for _, b := range g.allBrokers() {
		for _, client := range b.clients() {
			ready = append(ready, client.Ready())
		}
	}
	late := time.After(connectWait)
	for _, s := range ready {
		select {
		case <-s:
		case <-late:
			return
		}
	}
}

// register notes what a generation says of itself. Its first connection follows Prepare or Activate.
func (g *Gateway) register(payload []byte) error {
	r, err := parseRegistration(payload)
	if err != nil {
		return err
	}
	for _, s := range r.takeOut() {
		g.errorf("[MQTT] %s: %v", s.Server, s.check())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Generation < g.state.Active {
		return nil // of workers that are leaving
	}
	known := g.state.Registrations[r.Generation]
	g.state.register(r)
	g.keepState()
	if r.Generation == g.state.Active {
		g.apply(r, false)
		if known == nil || !slices.Equal(known.Timers, r.Timers) { // each lazy worker says the same
			g.timers.reconfigure(g, r)
		}
	}
	return nil
}

func (g *Gateway) broker(server string) *broker {
	g.brokersMu.Lock()
	defer g.brokersMu.Unlock()
	return g.brokers[server]
}

func (g *Gateway) setBroker(server string, b *broker) {
	g.brokersMu.Lock()
	defer g.brokersMu.Unlock()
	if b == nil {
		delete(g.brokers, server)
	} else {
		g.brokers[server] = b
	}
}

func (g *Gateway) allBrokers() map[string]*broker {
	g.brokersMu.Lock()
	defer g.brokersMu.Unlock()
	return maps.Clone(g.brokers)
}

// flushTime bounds the wait, at a stop, for what is still to be published.
const flushTime = 5 * time.Second

// leaveBrokers publishes what is queued and disconnects from all brokers, at the same time.
func (g *Gateway) leaveBrokers(successor bool) {
	var all sync.WaitGroup
	for key, b := range g.allBrokers() {
		all.Go(func() {
			g.closeBroker(key, b, !successor, successor)
		})
	}
	all.Wait()
}
