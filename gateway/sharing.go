package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"envoxyd/transports/mqtt"
)

// sharing is the second connection to a broker, by which each message comes to one instance of a service that runs on several
// machines (shared subscriptions: MQTT 5, section 4.8.2; brokers have them for 3.1.1 too). The first one cannot do that as well:
// MQTT 3.1.1 does not say which subscription a message comes for.
//
// A broker keeps what an instance has not acknowledged in that instance's session, and puts more there although it is away
// (mosquitto does). So the instances know of each other, by a retained message each, which the broker replaces when one is lost.
// Another one then takes over the session.
type sharing struct {
	g      *Gateway
	key    string      // of the broker
	cfg    mqtt.Config // without the will
	client *mqtt.Client

	group   string
	prefix  string // of topics that tell of an instance; its client id follows
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	gone []string // filters of the session that nobody wants any more; watch unsubscribes from them

	mu      sync.Mutex         // also protects the login in cfg
	filters map[string]byte    // as they are subscribed to
	members map[string]*member // the others, by client id
}

// presence is what an instance's retained message holds.
type presence struct {
	Lost    bool     `json:"lost"`
	Filters []string `json:"filters"`
	By      string   `json:"by,omitempty"` // the instance that takes over its session
}

const (
	presenceTopic = "envoxyd/members/"
	sharedKeep    = 10 * time.Second // between signs of life, unless the configuration has another: a machine that dies is missed soon
	takeoverGrace = 2 * time.Second  // for an instance that only connects again
	handlerGrace  = 10 * time.Minute // for one that has all handlers, before their messages are given up
	drainedAfter  = 2 * time.Second  // without a message a session may be empty
	takeoverLook  = 200 * time.Millisecond
	mostTakeovers = 16 // at a time: each is a connection
)

// share connects for shared subscriptions, changes them, or ends the connection if there are none. Called with g.mu held.
func (g *Gateway) share(key string, b *broker, cfg mqtt.Config, r *Registration, again bool) {
	group := groupName(r.Service)
	filters := sharedFilters(group, r.filters(origin{key, true}))
	s := b.sharing.Load()
	if s != nil && (len(filters) == 0 || s.group != group) {
		delete(g.state.Subscribed, s.cfg.ClientID)
		s.stopTakeovers()
		g.running.Go(s.retire)
		s = nil
	}
	if len(filters) == 0 {
		b.sharing.Store(nil)
		return
	}
	cfg.ClientID = g.state.clientID(key+"\x00shared by "+group, r.Service)
	cfg.Clean, cfg.Will = false, nil
	if cfg.KeepAlive <= 0 {
		cfg.KeepAlive = sharedKeep
	}
	if s != nil && !reflect.DeepEqual(s.config(cfg.User, cfg.Password), cfg) {
		s.leave(true) // the session is ours again at once
		s = nil
	}
	if s == nil {
		var err error
		if s, err = g.openSharing(key, group, cfg, filters, g.state.Subscribed[cfg.ClientID]); err != nil {
			g.errorf("[MQTT] %s: %v", key, err)
			b.sharing.Store(nil)
			return
		}
		b.sharing.Store(s)
	}
	g.state.Subscribed[cfg.ClientID] = slices.Sorted(maps.Keys(filters))
	g.keepState() // before the broker knows of them
	s.client.SetLogin(cfg.User, cfg.Password)
	g.updateFilters(key, s.client, s.setFilters(filters), filters, again)
	s.announce(false)
}

// sharedFilters are filters as a group subscribes to them. One that another covers is left out: the broker would give this
// group two copies of a message, to two instances maybe, and each has all handlers.
func sharedFilters(group string, filters map[string]byte) map[string]byte {
	found := map[string]byte{}
	for filter, qos := range filters {
		covered := false
		for other := range filters {
			covered = covered || other != filter && mqtt.Covers(other, filter)
		}
		if covered {
			continue
		}
		for other, higher := range filters {
			if mqtt.Covers(filter, other) {
				qos = max(qos, higher)
			}
		}
		found["$share/"+group+"/"+filter] = qos
	}
	return found
}

// config is how the connection was made, with another login.
func (s *sharing) config(user, password string) mqtt.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.User, s.cfg.Password = user, password
	return s.cfg
}

// setFilters returns those before.
func (s *sharing) setFilters(filters map[string]byte) (before map[string]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.filters = s.filters, filters
	return before
}

// groupName is the service's name as a topic may have it.
func groupName(service string) string {
	if service == "" {
		return "envoxyd"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/+#\x00", r) {
			return '-'
		}
		return r
	}, service)
}

// openSharing connects. subscribed are the filters that its session has from a gateway before this one.
func (g *Gateway) openSharing(key, group string, cfg mqtt.Config, filters map[string]byte, subscribed []string) (*sharing, error) {
	s := &sharing{g: g, key: key, cfg: cfg, group: group, prefix: presenceTopic + group + "/", members: map[string]*member{}}
	s.ctx, s.cancel = context.WithCancel(g.ctx)
	cfg.Will = &mqtt.Will{Topic: s.prefix + cfg.ClientID, Payload: presenceOf(true, filters), QoS: 1, Retain: true}
	var err error
	if s.client, err = mqtt.Open(cfg, s.received, s.says("shared")); err != nil {
		return nil, err
	}
	_ = s.client.Subscribe(map[string]byte{s.prefix + "+": 0}) // it is not connected yet
	s.gone = slices.DeleteFunc(slices.Clone(subscribed), func(filter string) bool { _, stays := filters[filter]; return stays })
	s.running.Go(s.watch)
	return s, nil
}

func (s *sharing) says(what string) func(problem bool, text string) {
	return func(problem bool, text string) { s.g.brokerSays(s.key+" ("+what+")", problem, text) }
}

func presenceOf(lost bool, filters map[string]byte) []byte {
	return presence{Lost: lost, Filters: slices.Sorted(maps.Keys(filters))}.text()
}

func (p presence) text() []byte {
	text, _ := json.Marshal(p) // strings only
	return text
}

// announce publishes whether this instance takes messages.
func (s *sharing) announce(lost bool) {
	s.mu.Lock()
	text := presenceOf(lost, s.filters)
	s.mu.Unlock()
	if err := s.client.Publish(s.prefix+s.cfg.ClientID, text, 1, true); err != nil {
		s.g.errorf("[MQTT] %s: other instances of the service are not told of this one: %v", s.key, err)
	}
}

// received takes a message, of this instance's session or of one that it takes over.
func (s *sharing) received(m *mqtt.Message) {
	id, ofMember := strings.CutPrefix(m.Topic, s.prefix)
	if !ofMember {
		s.g.received(origin{s.key, true}, m)
		return
	}
	m.Done()
	s.heard(id, m.Payload)
}

// retire ends a session that this instance does not need any more, once it has handled what is in it.
func (s *sharing) retire() {
	own := s.prefix + "+"
	err := s.client.Unsubscribe(append(slices.Collect(maps.Keys(s.setFilters(nil))), own)...)
	switch {
	case err == nil && s.emptied(s.client, own, s.g.quiet.Load):
		_ = s.client.Publish(s.prefix+s.cfg.ClientID, nil, 1, true)
		s.client.Close(flushTime, true)
	case s.client.Up(): // the gateway stops: what is left is for other instances
		s.leave(false)
	default: // a later connection of this instance has the session now
		s.client.Close(0, false)
	}
}

// quiesce takes no more messages. The subscriptions stay until another instance takes over the session: all may be stopping, and
// what comes meanwhile must have a place.
func (s *sharing) quiesce() {
	s.stopTakeovers()
	s.client.Quiesce()
}

// stopTakeovers leaves the sessions of others to others.
func (s *sharing) stopTakeovers() {
	s.cancel()
	s.running.Wait()
}

// leave disconnects. What the session holds is left to this instance's successor, or else to the other instances.
func (s *sharing) leave(successor bool) {
	s.stopTakeovers()
	if !successor {
		s.announce(true)
	}
	s.client.Close(flushTime, false)
}
