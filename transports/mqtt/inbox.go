package mqtt

import (
	"hash/maphash"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Message is one that has arrived. Its owner calls Done once it is handled, from
// any goroutine; until then the broker counts it as not delivered.
type Message struct {
	Topic     string
	Payload   []byte
	QoS       byte
	Retain    bool
	Duplicate bool // the broker says that it has sent it before
	ID        uint16

	inbox *inbox
	entry *entry
}

// Done acknowledges the message to the broker. QoS 0 needs none.
func (m *Message) Done() {
	if m.entry != nil {
		m.inbox.done(m.ID, m.entry)
	}
}

// inbox knows the messages that the broker may send again: those with a quality of
// service that are not acknowledged, and those of QoS 2 that are not released.
type inbox struct {
	mu      sync.Mutex
	seed    maphash.Seed
	entries map[uint16]*entry
}

type entry struct {
	hash     uint64
	ack      func() // of the newest delivery
	handled  bool
	released bool // not by QoS 2's PUBREL yet: false
	exactly  bool // QoS 2
}

func (b *inbox) init() { b.seed, b.entries = maphash.MakeSeed(), map[uint16]*entry{} }

// take registers a message. nil: it is one that is here already or has been handled.
func (b *inbox) take(m paho.Message) *Message {
	message := &Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained(), Duplicate: m.Duplicate(), ID: m.MessageID(), inbox: b}
	if m.Qos() == 0 {
		return message
	}
	var h maphash.Hash
	h.SetSeed(b.seed)
	_, _ = h.WriteString(m.Topic())
	_ = h.WriteByte(0)
	_, _ = h.Write(m.Payload())
	sum := h.Sum64()
	b.mu.Lock()
	known := b.entries[m.MessageID()]
	if m.Duplicate() && known != nil && known.hash == sum {
		known.ack = m.Ack
		handled := known.handled
		b.mu.Unlock()
		if handled { // the acknowledgement was lost with the connection
			m.Ack()
		}
		return nil
	}
	message.entry = &entry{hash: sum, ack: m.Ack, exactly: m.Qos() == 2}
	b.entries[m.MessageID()] = message.entry
	b.mu.Unlock()
	return message
}

func (b *inbox) done(id uint16, e *entry) {
	b.mu.Lock()
	e.handled = true
	ack := e.ack
	if b.entries[id] == e && (!e.exactly || e.released) {
		delete(b.entries, id)
	}
	b.mu.Unlock()
	ack()
}

// release follows QoS 2's PUBREL: the broker will not send the message again.
func (b *inbox) release(id uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[id]; e != nil {
		e.released = true
		if e.handled {
			delete(b.entries, id)
		}
	}
}

// forget: with a new session the broker begins anew.
func (b *inbox) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.entries)
}

func (c *Client) arrived(m paho.Message) {
	if c.closing.Load() {
		return
	}
	if message := c.inbox.take(m); message != nil {
		c.receive(message)
	}
}

// store keeps what is published until the broker has it. Of incoming packets it only
// listens for PUBREL: the library would deliver stored ones a second time.
type store struct {
	paho.Store
	inbox *inbox
}

func newStore(b *inbox) paho.Store { return &store{paho.NewOrderedMemoryStore(), b} }

// incoming is how the library's keys of received packets begin.
const incoming = "i."

func (s *store) Put(key string, packet packets.ControlPacket) {
	if len(key) < len(incoming) || key[:len(incoming)] != incoming {
		s.Store.Put(key, packet)
		return
	}
	if released, ok := packet.(*packets.PubrelPacket); ok {
		s.inbox.release(released.MessageID)
	}
}
