package mqtt

import (
	"errors"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// What Publish refuses.
var (
	ErrQueueFull = errors.New("mqtt: the broker is away and the queue of messages for it is full")
	ErrTopic     = errors.New("mqtt: a message cannot be published to this topic")
	ErrClosed    = errors.New("mqtt: the connection has been closed")
)

// unacknowledged bounds the published messages that the broker has not confirmed.
const unacknowledged = 256

// outgoing is one message to be published.
type outgoing struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
}

// outbox is what is to be published, in order, with a bound.
type outbox struct {
	mu       sync.Mutex
	changed  sync.Cond
	queue    []outgoing
	bytes    int
	inFlight int // handed to the library, not confirmed
	most     int
	mostSize int
	closed   bool
	held     bool // the library looks through its store: what is stored now would be sent twice
}

func (b *outbox) init(cfg Config) {
	b.changed.L = &b.mu
	b.most, b.mostSize = cfg.MaxQueued, cfg.MaxQueuedBytes
	if b.most <= 0 {
		b.most = defaultQueued
	}
	if b.mostSize <= 0 {
		b.mostSize = defaultBytes
	}
}

// hold keeps messages from the library while it connects, until open.
func (b *outbox) hold() {
	b.mu.Lock()
	b.held = true
	b.mu.Unlock()
}

func (b *outbox) open() {
	b.mu.Lock()
	b.held = false
	b.mu.Unlock()
	b.changed.Broadcast()
}

func (b *outbox) wake() { b.changed.Broadcast() }

func (b *outbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.changed.Broadcast()
}

// Publish queues a message, which it owns from then on, and returns. The broker gets it
// at once if it is there, else when it is back. ErrQueueFull, ErrTopic or ErrClosed.
func (c *Client) Publish(topic string, payload []byte, qos byte, retain bool) error {
	if !ValidTopic(topic) {
		return ErrTopic
	}
	b := &c.outbox
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return ErrClosed
	case len(b.queue) >= b.most || len(b.queue) > 0 && b.bytes+len(payload) > b.mostSize:
		return ErrQueueFull
	}
	b.queue = append(b.queue, outgoing{topic, payload, qos, retain})
	b.bytes += len(payload)
	b.changed.Broadcast()
	return nil
}

// Queued is how many messages wait to be published or confirmed.
func (c *Client) Queued() int {
	c.outbox.mu.Lock()
	defer c.outbox.mu.Unlock()
	return len(c.outbox.queue) + c.outbox.inFlight
}

// pump hands queued messages to the broker while it is there.
func (c *Client) pump() {
	b := &c.outbox
	for {
		b.mu.Lock()
		for !b.closed && (len(b.queue) == 0 || b.held || !c.up.Load() || b.inFlight >= unacknowledged) {
			b.changed.Wait()
		}
		if b.closed {
			b.mu.Unlock()
			return
		}
		m := b.queue[0]
		b.queue[0] = outgoing{}
		b.queue = b.queue[1:]
		b.bytes -= len(m.payload)
		b.inFlight++
		b.mu.Unlock()
		c.send(m)
	}
}

// send publishes one message. What the broker has not got by the time the connection
// is lost goes back to the head of the queue, except what the library itself resends.
func (c *Client) send(m outgoing) {
	token := c.paho.Publish(m.topic, m.qos, m.retain, m.payload)
	if m.qos == 0 {
		token.Wait() // until it is written
		c.sent(m, token)
		return
	}
	c.running.Go(func() {
		select {
		case <-token.Done():
			c.sent(m, token)
		case <-c.ctx.Done():
		}
	})
}

func (c *Client) sent(m outgoing, token paho.Token) {
	b := &c.outbox
	err := token.Error()
	b.mu.Lock()
	b.inFlight--
	if err != nil && (m.qos == 0 || errors.Is(err, paho.ErrNotConnected)) && !b.closed {
		b.queue = append([]outgoing{m}, b.queue...)
		b.bytes += len(m.payload)
	}
	b.mu.Unlock()
	b.changed.Broadcast()
	if err != nil {
		c.setUpIfConnected()
	}
}

// setUpIfConnected notes a connection's loss that the library has not told of yet.
func (c *Client) setUpIfConnected() {
	if !c.paho.IsConnectionOpen() {
		c.setUp(false)
	}
}

// flush waits until everything has been published and confirmed; it returns how many
// messages have not been when patience or the connection ends.
func (b *outbox) flush(patience time.Duration, up func() bool) int {
	late := time.AfterFunc(patience, b.wake)
	defer late.Stop()
	until := time.Now().Add(patience)
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue)+b.inFlight > 0 && up() && time.Now().Before(until) {
		b.changed.Wait()
	}
	return len(b.queue) + b.inFlight
}
