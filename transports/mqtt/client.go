// Package mqtt is a service's connection to one MQTT 3.1.1 broker: it connects
// again for as long as it lives, keeps its subscriptions, hands messages over
// unacknowledged, tells redelivered messages apart, and queues what is published
// while the broker is away.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

func init() { // the library's own log is discarded: what matters is logged here
	quiet := slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelDebug)
	paho.ERROR, paho.CRITICAL = quiet, quiet
}

// Client is a connection to one broker. Open makes it, Close ends it.
type Client struct {
	cfg     Config
	receive func(*Message)
	say     func(problem bool, text string)
	paho    paho.Client
	inbox   inbox
	outbox  outbox
	store   *store

	mu            sync.Mutex
	user          string
	password      string
	subscriptions map[string]byte // filter → quality of service
	problem       string          // the last one that was logged
	lost          chan struct{}   // closed when the present connection is lost; nil: there is none

	up      atomic.Bool
	closing atomic.Bool   // messages are no longer taken
	ready   chan struct{} // closed after the first attempt to connect and subscribe
	once    sync.Once
	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Open starts connecting and returns. receive gets every message, in the order of
// the broker; while it blocks nothing more is read from the broker. say gets lines
// about the connection's state. ErrConfig when cfg cannot be used.
func Open(cfg Config, receive func(*Message), say func(problem bool, text string)) (*Client, error) {
	c := &Client{cfg: cfg, receive: receive, say: say, subscriptions: map[string]byte{}, ready: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	c.inbox.init()
	c.outbox.init(cfg)
	c.store = newStore(c.outbox.wake, c.outbox.putBack)
	options.SetStore(c.store)
	c.paho = paho.NewClient(options)
	c.running.Go(c.pump)
	c.running.Go(c.keepConnected)
	return c, nil
}

func (c *Client) options() (*paho.ClientOptions, error) {
	address, user, password, encrypted, err := c.cfg.address()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.user, c.password = user, password
	c.mu.Unlock()
	keepAlive := c.cfg.KeepAlive
	if keepAlive <= 0 {
		keepAlive = defaultKeepAlive
	}
	o := paho.NewClientOptions().AddBroker(address).SetProtocolVersion(4).SetClientID(c.cfg.ClientID).
		SetCredentialsProvider(c.login).SetCleanSession(c.cfg.Clean).SetKeepAlive(keepAlive).
		SetConnectTimeout(connectTimeout).SetPingTimeout(pingTime).SetConnectRetry(false).SetAutoReconnect(false).SetResumeSubs(false).
		SetCustomOpenConnectionFn(c.dial).SetConnectionLostHandler(func(_ paho.Client, reason error) { c.connectionLost(reason) })
	if w := c.cfg.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	if encrypted {
		config, err := c.cfg.tls()
		if err != nil {
			return nil, err
		}
		o.SetTLSConfig(config)
	}
	return o, nil
}

func (c *Client) login() (user, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user, c.password
}

// SetLogin is for later connections; the present one is kept. A login in the
// configuration's bind is not changed.
func (c *Client) SetLogin(user, password string) {
	c.mu.Lock()
	c.cfg.User, c.cfg.Password = user, password
	if _, user, password, _, err := c.cfg.address(); err == nil {
		c.user, c.password = user, password
	}
	c.mu.Unlock()
}

// complain logs a problem once, until there is another or none.
func (c *Client) complain(text string) {
	c.mu.Lock()
	again := c.problem == text
	c.problem = text
	c.mu.Unlock()
	if !again && !c.closing.Load() {
		c.say(true, text)
	}
}

// Ready is closed when the first attempt to connect and subscribe has ended, well or not.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Up tells whether the broker is connected.
func (c *Client) Up() bool { return c.up.Load() }

// Quiet is how long no message has come, and none was waited for to be handled. 0: one is waited for.
func (c *Client) Quiet() time.Duration { return c.inbox.quiet() }

// Problem is why the broker is not connected, as it was logged; "" when it is not known.
func (c *Client) Problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

// subscribeTime bounds the wait for a broker's answer to a subscription.
const subscribeTime = 10 * time.Second

// subscribe sends a packet for each filter: the library takes a broker's answer apart without
// checking its length, and stream checks it by that.
func (c *Client) subscribe(wanted map[string]byte) error {
	tokens := map[string]paho.Token{}
	for filter, qos := range wanted {
		tokens[filter] = c.paho.SubscribeMultiple(map[string]byte{filter: qos}, nil)
	}
	var problems []error
	for filter, token := range tokens {
		if err := c.wait(token); err != nil {
			return err
		}
		if err := token.Error(); err != nil {
			problems = append(problems, err)
		} else if made, ok := token.(*paho.SubscribeToken); ok && made.Result()[filter] == refused {
			problems = append(problems, fmt.Errorf("the broker refuses the subscription to %q", filter))
		}
	}
	return errors.Join(problems...)
}

// refused is a broker's answer to a subscription that it does not make.
const refused = 0x80

// wait waits for an answer of the broker's, for a time or until Close.
func (c *Client) wait(token paho.Token) error {
	late := time.NewTimer(subscribeTime)
	defer late.Stop()
	select {
	case <-token.Done():
		return nil
	case <-c.ctx.Done():
		return ErrClosed
	case <-late.C:
		return errors.New("the broker does not answer")
	}
}

// Subscribe adds filters, or changes their quality of service; they are made again
// at each connection. One that is there already is subscribed to once more, which has
// the broker send what it retains. Without a connection nothing is sent.
func (c *Client) Subscribe(filters map[string]byte) error {
	c.mu.Lock()
	maps.Copy(c.subscriptions, filters)
	c.mu.Unlock()
	if !c.up.Load() {
		return nil
	}
	return c.subscribe(filters)
}

var errAway = errors.New("the broker is away")

// Unsubscribe removes filters. They are made at no later connection in any case; an error means that the broker has
// not confirmed it.
func (c *Client) Unsubscribe(filters ...string) error {
	c.mu.Lock()
	for _, filter := range filters {
		delete(c.subscriptions, filter)
	}
	c.mu.Unlock()
	if len(filters) == 0 {
		return nil
	}
	if !c.up.Load() {
		return errAway
	}
	token := c.paho.Unsubscribe(filters...)
	if err := c.wait(token); err != nil {
		return err
	}
	return token.Error()
}

// Quiesce takes no more messages. What arrives from now on is not acknowledged:
// the broker keeps it for this client's session, if it has one.
func (c *Client) Quiesce() { c.closing.Store(true) }

// Close publishes what is queued, within the timeout, leaves the broker and
// waits for all that the client has started. endSession has the broker forget the session.
func (c *Client) Close(timeout time.Duration, endSession bool) {
	c.Quiesce()
	left := c.flush(timeout)
	if left > 0 {
		c.say(true, fmt.Sprintf("%d messages that were to be published are lost with the stop", left))
	}
	c.cancel()
	c.outbox.close()
	connected := c.up.Load()
	if left > 0 && c.cfg.Will != nil {
		c.inbox.hangUp() // what was to be said may have been instead of the will: the broker is not told that we leave in good order
	}
	c.paho.Disconnect(250) // milliseconds
	c.running.Wait()
	if connected && endSession && !c.cfg.Clean {
		c.endSession()
	}
}

// endSession connects once more with MQTT's clean flag, so that the broker does not
// go on collecting messages for a client that will not come back.
func (c *Client) endSession() {
	options, err := c.options()
	if err != nil {
		return
	}
	options.CustomOpenConnectionFn = nil // ours ends with Close
	options.SetCleanSession(true).SetStore(paho.NewMemoryStore()).
		SetConnectionLostHandler(nil).SetConnectTimeout(time.Second).UnsetWill()
	last := paho.NewClient(options)
	if last.Connect().WaitTimeout(time.Second) {
		last.Disconnect(50)
	}
}
