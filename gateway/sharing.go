package gateway

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
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

	mu      sync.Mutex
	filters map[string]byte    // as they are subscribed to
	members map[string]*member // the others, by client id
}

// member is another instance, as it is known by the broker.
type member struct {
	lost    bool
	since   time.Time // when that was heard
	filters []string  // what it had subscribed to
	taken   bool      // we are taking over its session
	by      string    // the instance that is taking it over
}

// presence is what an instance's retained message holds.
type presence struct {
	Lost    bool     `json:"lost"`
	Filters []string `json:"filters"`
	By      string   `json:"by,omitempty"` // the instance that takes over its session
}

const (
	presenceTopic  = "envoxyd/members/"
	sharedKeep     = 10 * time.Second // between signs of life, unless the configuration has another: a machine that dies is missed soon
	takeoverGrace  = 2 * time.Second  // for an instance that only connects again
	drainedAfter   = 2 * time.Second  // without a message a session is taken for empty
	takeoverLook   = 200 * time.Millisecond
	sharedIdentity = "\x00shared" // behind a broker's key: the name of the second connection
)

// share connects for shared subscriptions, changes them, or ends the connection if there are none. Called with g.mu held.
func (g *Gateway) share(key string, b *broker, cfg mqtt.Config, r *Registration, again bool) {
	group := groupName(r.Service)
	filters := map[string]byte{}
	for filter, qos := range r.filters(origin{key, true}) {
		filters["$share/"+group+"/"+filter] = qos
	}
	if len(filters) == 0 {
		if b.sharing != nil {
			b.sharing.leave(false)
			b.setSharing(g, nil)
		}
		return
	}
	cfg.ClientID = g.state.clientID(key+sharedIdentity, r.Service)
	g.keepState()
	cfg.Clean = !reliable(filters)
	if cfg.KeepAlive <= 0 {
		cfg.KeepAlive = sharedKeep
	}
	cfg.Will = nil
	if s := b.sharing; s != nil && (s.group != group || !reflect.DeepEqual(withLogin(s.cfg, cfg.User, cfg.Password), cfg)) {
		s.leave(true) // the session is ours again at once
		b.setSharing(g, nil)
	}
	if b.sharing == nil {
		s, err := g.openSharing(key, group, cfg, filters)
		if err != nil {
			g.errorf("[MQTT] %s: %v", key, err)
			return
		}
		b.setSharing(g, s)
	}
	s := b.sharing
	s.client.SetLogin(cfg.User, cfg.Password)
	g.updateFilters(key, s.client, s.setFilters(filters), filters, again)
}

// setFilters returns those before.
func (s *sharing) setFilters(filters map[string]byte) (before map[string]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.filters = s.filters, filters
	return before
}

func (b *broker) setSharing(g *Gateway, s *sharing) {
	g.brokersMu.Lock()
	defer g.brokersMu.Unlock()
	b.sharing = s
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

func (g *Gateway) openSharing(key, group string, cfg mqtt.Config, filters map[string]byte) (*sharing, error) {
	s := &sharing{g: g, key: key, cfg: cfg, group: group, prefix: presenceTopic + group + "/", members: map[string]*member{}}
	s.ctx, s.cancel = context.WithCancel(g.ctx)
	if !cfg.Clean { // else there is nothing to be taken over
		cfg.Will = &mqtt.Will{Topic: s.prefix + cfg.ClientID, Payload: presenceOf(true, filters), QoS: 1, Retain: true}
	}
	var err error
	if s.client, err = mqtt.Open(cfg, s.received, s.says("shared")); err != nil {
		return nil, err
	}
	if !cfg.Clean {
		_ = s.client.Subscribe(map[string]byte{s.prefix + "+": 0}) // it is not connected yet
		s.running.Go(s.watch)
	}
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
	if s.cfg.Clean {
		return
	}
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

// heard notes what the broker tells of an instance.
func (s *sharing) heard(id string, payload []byte) {
	var told presence
	gone := len(payload) == 0 || json.Unmarshal(payload, &told) != nil
	if id == s.cfg.ClientID {
		if (gone || told.Lost) && s.ctx.Err() == nil { // the connection was lost, and is there again
			s.announce(false)
		}
		return
	}
	if !sameService(s.cfg.ClientID, id) { // whoever may publish here must not have us end the sessions of others
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.members[id]
	switch {
	case gone:
		delete(s.members, id)
	case known == nil || known.lost != told.Lost:
		s.members[id] = &member{lost: told.Lost, since: time.Now(), filters: told.Filters, taken: known != nil && known.taken, by: told.By}
	default:
		known.filters, known.by = told.Filters, told.By
	}
}

// sameService tells whether a client id is one that clientID has made for the service that own is of.
func sameService(own, id string) bool {
	unique := len(own) - uniqueLength
	if unique < 0 || len(id) != len(own) || id[:unique] != own[:unique] {
		return false
	}
	_, err := hex.DecodeString(id[unique:])
	return err == nil
}

// watch tells of this instance at each connection, and takes over sessions, until ctx ends.
func (s *sharing) watch() {
	up := false
	ticker := time.NewTicker(takeoverGrace / 4)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		before := up
		if up = s.client.Up(); !up {
			continue
		}
		if !before {
			s.announce(false)
		}
		for id, filters := range s.due(time.Now()) {
			s.running.Go(func() { s.takeOver(id, filters) })
		}
	}
}

// due are the lost instances whose session it is now on this one to take over, with their filters.
func (s *sharing) due(now time.Time) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]string{}
	for id, m := range s.members {
		by := s.members[m.by]
		if by != nil && !by.lost { // it has begun
			continue
		}
		if m.lost && !m.taken && now.Sub(m.since) >= takeoverGrace && s.chosen(id) {
			m.taken = true
			found[id] = m.filters
		}
	}
	return found
}

// chosen tells whether this instance is the one to take over a session: all that are here come to the same result. Called with
// s.mu held.
func (s *sharing) chosen(lost string) bool {
	weight := func(id string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(lost + "\x00" + id))
		return h.Sum64()
	}
	ours := weight(s.cfg.ClientID)
	for id, m := range s.members {
		if !m.lost && weight(id) > ours {
			return false
		}
	}
	return true
}

// takeOver handles what the session of a lost instance holds, and ends the session. If the instance comes back meanwhile, or
// another one takes the session, the broker closes this connection.
func (s *sharing) takeOver(id string, filters []string) {
	begun := presence{Lost: true, Filters: filters, By: s.cfg.ClientID}
	_ = s.client.Publish(s.prefix+id, begun.text(), 1, true) // without it another may join in, which only costs time
	drained := s.drain(id, filters)
	s.mu.Lock()
	m := s.members[id]
	if m != nil {
		m.taken, m.since = false, time.Now()
	}
	s.mu.Unlock()
	if drained && m != nil {
		_ = s.client.Publish(s.prefix+id, nil, 1, true) // if it cannot be: the session is looked at once more
	}
}

// drain takes messages from a session until none is left; false: it was given up.
func (s *sharing) drain(id string, filters []string) bool {
	cfg := s.cfg
	cfg.ClientID = id
	client, err := mqtt.Open(cfg, s.received, func(bool, string) {})
	if err != nil {
		return false
	}
	drained := false
	defer func() { client.Close(0, drained) }()
	select {
	case <-client.Ready():
	case <-s.ctx.Done():
		return false
	}
	if !client.Up() {
		return false
	}
	s.g.logf("[MQTT] %s: instance %s of the service is gone: its messages are handled here", s.key, id)
	client.Unsubscribe(slices.Concat(filters, []string{s.prefix + "+"})...)
	ticker := time.NewTicker(takeoverLook)
	defer ticker.Stop()
	for client.Quiet() < drainedAfter {
		select {
		case <-s.ctx.Done():
			return false
		case <-ticker.C:
		}
		if !client.Up() || s.back(id) {
			s.g.logf("[MQTT] %s: instance %s is back, or another instance handles its messages", s.key, id)
			return false
		}
	}
	drained = true
	return true
}

// back tells whether an instance is not lost any more.
func (s *sharing) back(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[id]
	return m == nil || !m.lost
}

// quiesce takes no more messages. New ones go to the other instances, if there are any: the session gets none then.
func (s *sharing) quiesce() {
	s.stopTakeovers()
	s.mu.Lock()
	others := false
	for _, m := range s.members {
		others = others || !m.lost
	}
	filters := slices.Collect(maps.Keys(s.filters))
	s.mu.Unlock()
	s.client.Quiesce()
	if others {
		s.g.running.Go(func() { s.client.Unsubscribe(filters...) }) // a broker that does not answer holds nothing up
	}
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
	s.client.Close(flushTime, s.cfg.Clean)
}
