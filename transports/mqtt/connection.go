package mqtt

import (
	"fmt"
	"maps"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// keepConnected connects, and again whenever the connection has been lost, until Close.
func (c *Client) keepConnected() {
	pause := time.Duration(0)
	for c.sleep(pause) {
		if c.cfg.Clean {
			c.inbox.forget()
		}
		began := time.Now()
		lost, err := c.connectOnce()
		if err != nil {
			c.complain("not connected: " + strings.TrimPrefix(err.Error(), networkError))
			c.once.Do(func() { close(c.ready) })
			pause = longer(pause)
			continue
		}
		c.connected(lost)
		select {
		case <-lost:
		case <-c.ctx.Done():
			return
		}
		if pause = longer(pause); time.Since(began) > longestPause {
			pause = 0
		}
	}
}

// networkError is what the library puts before an error of the network.
var networkError = packets.ErrorNetworkError.Error() + " : "

// longer is the pause after another failure.
func longer(pause time.Duration) time.Duration {
	return min(max(2*pause, time.Second), longestPause)
}

// sleep tells, after the pause, whether the client is still open.
func (c *Client) sleep(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.ctx.Err() == nil
	case <-c.ctx.Done():
		return false
	}
}

// connectOnce connects, and has what is unconfirmed sent again; lost is closed when the connection is.
func (c *Client) connectOnce() (lost <-chan struct{}, err error) {
	end := make(chan struct{})
	c.mu.Lock()
	c.lost = end
	c.mu.Unlock()
	token := c.paho.Connect()
	select {
	case <-token.Done():
		if made, ok := token.(*paho.ConnectToken); ok && token.Error() == nil && !made.SessionPresent() {
			c.inbox.forget() // identifiers begin again: none of an older session may be acknowledged in this one
		}
		return end, token.Error()
	case <-c.ctx.Done():
		return nil, ErrClosed
	}
}

// connectionLost is called by the library, once for each connection that ends by itself.
func (c *Client) connectionLost(reason error) {
	c.inbox.connectionLost()
	text := "the broker closed it"
	if reason != nil {
		text = reason.Error()
	}
	c.complain("connection lost: " + text)
	c.mu.Lock()
	c.up.Store(false)
	if c.lost != nil {
		close(c.lost)
		c.lost = nil
	}
	c.mu.Unlock()
	c.outbox.wake()
}

// connected makes the subscriptions, and only then says that the broker is there.
func (c *Client) connected(lost <-chan struct{}) {
	c.inbox.connected()
	c.mu.Lock()
	wanted := maps.Clone(c.subscriptions)
	c.problem = ""
	c.mu.Unlock()
	subscribed := make(chan error, 1)
	go func() { subscribed <- c.subscribe(wanted) }() // the library may hold it up for as long as 30 s, if the connection is lost
	var err error
	select {
	case err = <-subscribed:
	case <-lost: // it will be back
		return
	case <-c.ctx.Done():
		return
	}
	c.mu.Lock()
	up := c.lost != nil
	c.up.Store(up)
	c.mu.Unlock()
	if !up {
		return
	}
	c.say(false, fmt.Sprintf("connected, %d subscriptions", len(wanted)))
	if err != nil {
		c.complain(err.Error())
	}
	c.outbox.wake()
	c.once.Do(func() { close(c.ready) })
}
