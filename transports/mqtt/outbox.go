package mqtt

import (
	"errors"
	"slices"
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
	handing  int // one is on its way to the library
	most     int
	mostSize int
	closed   bool
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

func (b *outbox) wake() {
	b.mu.Lock() // a waiter has either not checked its condition yet, or waits
	defer b.mu.Unlock()
	b.changed.Broadcast()
}

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

// pump hands queued messages to the broker while it is there.
func (c *Client) pump() {
	b := &c.outbox
	for {
		b.mu.Lock()
		for !b.closed && (len(b.queue) == 0 || !c.up.Load() || c.store.len() >= unacknowledged) {
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
		b.handing = 1
		b.mu.Unlock()
		sent := c.send(m)
		b.mu.Lock()
		b.handing = 0
		b.mu.Unlock()
		if !sent {
			b.putBack([]outgoing{m})
		}
		b.changed.Broadcast()
	}
}

// send publishes one message; false: it is not with the library, and the broker has not got it. With QoS 1 and 2 the
// library keeps it, sends it again at later connections, and deletes it from its store when it is confirmed.
func (c *Client) send(m outgoing) bool {
	c.mu.Lock()
	lost := c.lost
	c.mu.Unlock()
	if lost == nil {
		return false
	}
	token := c.paho.Publish(m.topic, m.qos, m.retain, m.payload)
	if m.qos > 0 {
		select {
		case <-token.Done():
			return !errors.Is(token.Error(), paho.ErrNotConnected)
		default:
			return true
		}
	}
	select { // until it is written; when its connection has ended and it is not, nobody will say so
	case <-token.Done():
	case <-lost:
	case <-c.ctx.Done():
	}
	select { // not WaitTimeout(0), which may prefer its timer to a token that is done: the message would go out again and again
	case <-token.Done():
		return token.Error() == nil
	default:
		return false
	}
}

// putBack returns messages to the head of the queue.
func (b *outbox) putBack(unsent []outgoing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, m := range unsent {
		b.bytes += len(m.payload)
	}
	b.queue = append(slices.Clone(unsent), b.queue...)
	b.changed.Broadcast()
}

// flush waits until everything has been published and confirmed; it returns how many
// messages have not been when the timeout or the connection ends.
func (c *Client) flush(timeout time.Duration) int {
	b := &c.outbox
	until := time.Now().Add(timeout)
	late := time.AfterFunc(timeout, b.wake)
	defer late.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	left := func() int { return len(b.queue) + b.handing + c.store.len() }
	for left() > 0 && c.up.Load() && time.Now().Before(until) {
		b.changed.Wait()
	}
	return left()
}
