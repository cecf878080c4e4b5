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
	resent   int  // messages in flight that it has still to send again: what is newer comes after them
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
	b.held, b.resent = true, b.inFlight
	b.mu.Unlock()
}

// resendTime bounds the wait for what the library sends again.
const resendTime = 5 * time.Second

func (b *outbox) open() {
	b.mu.Lock()
	b.held = false
	b.mu.Unlock()
	b.changed.Broadcast()
	time.AfterFunc(resendTime, func() {
		b.mu.Lock()
		b.resent = 0
		b.mu.Unlock()
		b.changed.Broadcast()
	})
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
		for !b.closed && (len(b.queue) == 0 || b.held || b.resent > 0 || !c.up.Load() || b.inFlight >= unacknowledged) {
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

// send publishes one message. What the broker cannot have got goes back to the head of
// the queue, except what the library itself sends again: that of QoS 1 and 2.
func (c *Client) send(m outgoing) {
	if !c.paho.IsConnectionOpen() {
		c.back(m)
		return
	}
	token := c.paho.Publish(m.topic, m.qos, m.retain, m.payload)
	if m.qos == 0 {
		c.awaitWritten(m, token)
		return
	}
	c.running.Go(func() {
		select {
		case <-token.Done():
			if errors.Is(token.Error(), paho.ErrNotConnected) {
				c.back(m)
			} else {
				c.sent()
			}
		case <-c.ctx.Done():
		}
	})
}

// awaitWritten waits until a message of QoS 0 is written. While it disconnects the library
// neither writes one nor says so.
func (c *Client) awaitWritten(m outgoing, token paho.Token) {
	for {
		select {
		case <-token.Done():
			if token.Error() == nil && c.paho.IsConnectionOpen() {
				c.sent()
			} else {
				c.back(m)
			}
			return
		case <-c.ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
			if !c.paho.IsConnectionOpen() {
				c.back(m)
				return
			}
		}
	}
}

// back returns a message to the head of the queue: there is no connection.
func (c *Client) back(m outgoing) {
	b := &c.outbox
	b.mu.Lock()
	b.inFlight--
	b.resent = max(b.resent-1, 0)
	if !b.closed {
		b.queue = append([]outgoing{m}, b.queue...)
		b.bytes += len(m.payload)
	}
	b.mu.Unlock()
	if !c.paho.IsConnectionOpen() {
		c.up.Store(false)
	}
	b.changed.Broadcast()
}

func (c *Client) sent() {
	b := &c.outbox
	b.mu.Lock()
	b.inFlight--
	b.resent = max(b.resent-1, 0)
	b.mu.Unlock()
	b.changed.Broadcast()
}

// flush waits until everything has been published and confirmed; it returns how many
// messages have not been when the timeout or the connection ends.
func (b *outbox) flush(timeout time.Duration, up func() bool) int {
	until := time.Now().Add(timeout)
	late := time.AfterFunc(timeout, b.wake)
	defer late.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue)+b.inFlight > 0 && up() && time.Now().Before(until) {
		b.changed.Wait()
	}
	return len(b.queue) + b.inFlight
}
