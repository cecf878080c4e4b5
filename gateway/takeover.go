package gateway

import (
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"envoxyd/transports/mqtt"
)

// member is another instance, as it is known by the broker.
type member struct {
	lost    bool
	since   time.Time // when that was heard
	filters []string  // what it had subscribed to
	taken   bool      // we are taking over its session
	by      string    // the instance that is taking it over
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
		if known != nil && told.Lost && told.By == "" && len(known.filters) > 0 { // a will has those of the time when it was made
			told.Filters = known.filters
		}
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
			if s.client.Unsubscribe(s.gone...) == nil {
				s.gone = nil
			}
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
	taken := 0
	for _, m := range s.members {
		if m.taken {
			taken++
		}
	}
	for id, m := range s.members {
		by := s.members[m.by]
		if by != nil && !by.lost { // it has begun
			continue
		}
		chosen, able := s.chosen(id)
		chosen = chosen || m.by == s.cfg.ClientID // this instance has begun, maybe by an earlier gateway: the others wait for it
		grace := takeoverGrace
		if !able {
			grace = handlerGrace
		}
		if m.lost && !m.taken && now.Sub(m.since) >= grace && chosen && taken < mostTakeovers {
			m.taken = true
			taken++
			found[id] = m.filters
		}
	}
	return found
}

// chosen tells whether this instance is the one to take over a session: all that are here come to the same result. Those that
// have handlers for all that the lost one had come first; able tells whether this is one. Called with s.mu held.
func (s *sharing) chosen(lost string) (chosen, able bool) {
	wanted := s.members[lost].filters
	weight := func(id string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(lost + "\x00" + id))
		return h.Sum64()
	}
	ours := weight(s.cfg.ClientID)
	able = covers(slices.Collect(maps.Keys(s.filters)), wanted)
	for id, m := range s.members {
		if m.lost {
			continue
		}
		if other := covers(m.filters, wanted); other && !able || other == able && weight(id) > ours {
			return false, able
		}
	}
	return true, able
}

// covers tells whether each of the wanted filters is covered by one of those that there are.
func covers(there, wanted []string) bool {
	for _, filter := range wanted {
		if !slices.ContainsFunc(there, func(wide string) bool { return mqtt.Covers(wide, filter) }) {
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
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	cfg.ClientID = id
	client, err := mqtt.Open(cfg, s.received, s.says("session of "+id))
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
	own := s.prefix + "+"
	if client.Unsubscribe(slices.Concat(filters, []string{own})...) != nil {
		return false
	}
	drained = s.emptied(client, own, func() bool { return s.ctx.Err() != nil || s.back(id) })
	if !drained && s.ctx.Err() == nil {
		s.g.logf("[MQTT] %s: instance %s is back, or another instance handles its messages", s.key, id)
	}
	return drained
}

// emptied waits until nothing is left in the session of a client that has no subscriptions any more; false: the connection was
// lost, or it was given up. own is a filter to ask the broker with.
func (s *sharing) emptied(client *mqtt.Client, own string, givenUp func() bool) bool {
	ticker := time.NewTicker(takeoverLook)
	defer ticker.Stop()
	for !givenUp() && client.Up() {
		select {
		case <-s.g.ctx.Done():
			return false
		case <-ticker.C:
		}
		if client.Quiet() < drainedAfter {
			continue
		}
		if client.Unsubscribe(own) != nil { // its answer comes after all that the broker had sent: the silence was not the network's
			return false
		}
		if client.Quiet() >= drainedAfter && client.Up() && !givenUp() {
			return true
		}
	}
	return false
}

// back tells whether an instance is not lost any more.
func (s *sharing) back(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[id]
	return m == nil || !m.lost
}
