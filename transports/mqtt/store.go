package mqtt

import (
	"slices"
	"strings"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// store is the library's memory of messages that it has published and the broker has not
// confirmed: it keeps them in order, sends them again when it has connected, and deletes
// them when they are confirmed. Of what arrives it would keep the PUBREL of QoS 2, which needs no keeping.
type store struct {
	mu        sync.Mutex
	order     []string // keys
	packets   map[string]packets.ControlPacket
	confirmed func()           // one is gone
	returned  func([]outgoing) // the session is a new one: nothing will be sent again
}

func newStore(confirmed func(), returned func([]outgoing)) *store {
	return &store{packets: map[string]packets.ControlPacket{}, confirmed: confirmed, returned: returned}
}

// incoming is how the library's keys of received packets begin.
const incoming = "i."

// Open does nothing: what is stored outlives a connection.
func (s *store) Open() {}

// Close does nothing.
func (s *store) Close() {}

// Put keeps a packet that is sent.
func (s *store) Put(key string, packet packets.ControlPacket) {
	if strings.HasPrefix(key, incoming) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.packets[key]; !known {
		s.order = append(s.order, key)
	}
	s.packets[key] = packet
}

// Get is the packet of that key, or nil.
func (s *store) Get(key string) packets.ControlPacket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets[key]
}

// All are the keys, in the order of sending.
func (s *store) All() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// Del forgets a packet that is confirmed.
func (s *store) Del(key string) {
	s.mu.Lock()
	_, known := s.packets[key]
	if known {
		delete(s.packets, key)
		at := slices.Index(s.order, key) // mostly the first
		s.order = slices.Delete(s.order, at, at+1)
	}
	s.mu.Unlock()
	if known {
		s.confirmed()
	}
}

// Reset is what the library does on a connection with a new session.
func (s *store) Reset() {
	s.mu.Lock()
	var unconfirmed []outgoing
	for _, key := range s.order {
		if p, ok := s.packets[key].(*packets.PublishPacket); ok {
			unconfirmed = append(unconfirmed, outgoing{p.TopicName, p.Payload, p.Qos, p.Retain})
		}
	}
	s.order, s.packets = nil, map[string]packets.ControlPacket{}
	s.mu.Unlock()
	s.returned(unconfirmed)
}

// len is how many messages are unconfirmed.
func (s *store) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}
