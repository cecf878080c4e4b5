package mqtt

import (
	"hash/maphash"
	"sync"
	"time"
)

// Message is one that has arrived. Its owner calls Done once it is handled, from
// any goroutine; until then, and until all that came before it are, the broker counts
// it as not delivered.
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
		m.inbox.done(m.entry)
	}
}

// inbox knows the messages that the broker may send again: those with a quality of
// service that are not acknowledged, and those of QoS 2.
type inbox struct {
	sending sync.Mutex
	mu      sync.Mutex
	seed    maphash.Seed
	entries map[uint16]*entry
	order   [3][]*entry // by quality of service: those that are not acknowledged
	up      bool
	stream  *stream   // the newest connection
	lost    time.Time // when the connection was lost last
	busy    time.Time // when a message came or was handled last
}

type entry struct {
	id       uint16
	hash     uint64
	handled  bool
	acked    bool      // it has had its turn
	exactly  bool      // QoS 2
	released time.Time // when QoS 2's PUBREL came
}

// releaseTime: brokers (mosquitto up to 2.0 is one) send a message of QoS 2 again after a
// restart although they had released it, unless they had the confirmation of that. One
// that was released so shortly before the connection was lost is taken for a repetition.
const releaseTime = 5 * time.Second

// repeated tells whether a message that the broker marks as sent before is the entry's.
func (b *inbox) repeated(e *entry) bool {
	return e.released.IsZero() || e.released.Before(b.lost) && b.lost.Sub(e.released) < releaseTime
}

func (b *inbox) init() {
	b.seed, b.entries, b.busy = maphash.MakeSeed(), map[uint16]*entry{}, time.Now()
}

// take registers a message. nil: it is one that is here already or has been handled.
func (b *inbox) take(m *publish) *Message {
	b.mu.Lock()
	b.busy = time.Now()
	b.mu.Unlock()
	message := &Message{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: m.retain, Duplicate: m.duplicate, ID: m.id, inbox: b}
	if m.qos == 0 {
		return message
	}
	var h maphash.Hash
	h.SetSeed(b.seed)
	_, _ = h.WriteString(m.topic)
	_ = h.WriteByte(0)
	_, _ = h.Write(m.payload)
	sum := h.Sum64()
	b.mu.Lock()
	b.up = true // or it could not have come
	known := b.entries[m.id]
	if m.duplicate && known != nil && known.hash == sum && b.repeated(known) {
		again := known.acked // the acknowledgement was lost with the connection, or never sent
		b.mu.Unlock()
		if again {
			b.acknowledge(known)
		}
		return nil
	}
	message.entry = &entry{id: m.id, hash: sum, exactly: m.qos == 2}
	b.entries[m.id] = message.entry
	b.order[m.qos] = append(b.order[m.qos], message.entry)
	b.mu.Unlock()
	return message
}

// done acknowledges in the order of arrival, as MQTT wants it (section 4.6): what was
// handled before its turn waits. Brokers mix up what they hold back otherwise.
func (b *inbox) done(e *entry) {
	b.mu.Lock()
	e.handled, b.busy = true, time.Now()
	line := &b.order[1]
	if e.exactly {
		line = &b.order[2]
	}
	b.mu.Unlock()
	b.sending.Lock() // one at a time, or their order would be lost on the way
	defer b.sending.Unlock()
	for {
		b.mu.Lock()
		if len(*line) == 0 || !(*line)[0].handled {
			b.mu.Unlock()
			return
		}
		next := (*line)[0]
		(*line)[0] = nil
		*line = (*line)[1:]
		next.acked = true
		up := b.up
		b.mu.Unlock()
		if up { // else the broker sends it again, and is answered then
			b.acknowledge(next)
		}
	}
}

// The packets that acknowledge a message (MQTT 3.1.1, sections 3.4 and 3.5). They go straight
// to the connection, as messages come from it (stream).
const (
	puback = 0x40
	pubrec = 0x50
)

func (b *inbox) acknowledge(e *entry) {
	b.mu.Lock()
	stream := b.stream
	if b.entries[e.id] == e && !e.exactly {
		delete(b.entries, e.id)
	}
	b.mu.Unlock()
	kind := byte(puback)
	if e.exactly {
		kind = pubrec
	}
	if stream != nil {
		_, _ = stream.Write([]byte{kind, 2, byte(e.id >> 8), byte(e.id)}) // on a connection that was lost the broker sends the message again
	}
}

// release handles QoS 2's PUBREL: the identifier is free for another message. The entry
// stays in its place until then.
func (b *inbox) release(id uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[id]; e != nil {
		e.released = time.Now()
	}
}

func (b *inbox) connectionLost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.up {
		b.lost, b.up = time.Now(), false
	}
}

// hangUp closes the connection without a word.
func (b *inbox) hangUp() {
	b.mu.Lock()
	stream := b.stream
	b.mu.Unlock()
	if stream != nil {
		_ = stream.Close()
	}
}

// connected: acknowledgements reach the broker again.
func (b *inbox) connected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up = true
}

// forget: with a new session the broker starts afresh.
func (b *inbox) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.entries)
	b.order = [3][]*entry{}
}

// quiet is how long nothing has come, and nothing was waited for.
func (b *inbox) quiet() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.order[1])+len(b.order[2]) > 0 {
		return 0
	}
	return time.Since(b.busy)
}

func (c *Client) arrived(m *publish) {
	if c.closing.Load() {
		return
	}
	if message := c.inbox.take(m); message != nil {
		c.receive(message)
	}
}
