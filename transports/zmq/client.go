package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pebbe/zmq4"

	"envoxyd/protocol/m2m"
)

// Errors of requests.
var (
	ErrTimeout = errors.New("zmq: no reply in time")
	ErrLost    = errors.New("zmq: the connection was lost before the reply")
	ErrRefused = errors.New("zmq: the server has refused the credentials")
)

// ClientConfig is how a server is asked.
type ClientConfig struct {
	Endpoint       m2m.Endpoint
	Curve          *ClientCurve
	Plain          *ClientPlain
	Heartbeat      Heartbeat
	Reconnect      time.Duration // the pause before another attempt to connect; 0: 100 ms
	ReconnectMax   time.Duration // up to which the pause grows; 0: it does not
	MaxConnections int           // further requests wait; 0: 50
}

// Client asks one server, over as many connections as there are requests at a time. Each is a REQ
// socket, which has no more than one request.
type Client struct {
	loop   *Loop
	config ClientConfig
	places chan struct{}

	ipv6   sync.Once
	only6  bool // the server's name has no other addresses
	idle   []*conn
	closed bool // as idle, the loop's
}

// Client makes one; it connects at the first request.
func (l *Loop) Client(config ClientConfig) *Client {
	if config.MaxConnections <= 0 {
		config.MaxConnections = 50
	}
	if config.Reconnect <= 0 {
		config.Reconnect = 100 * time.Millisecond
	}
	return &Client{loop: l, config: config, places: make(chan struct{}, config.MaxConnections)}
}

// conn is a socket with one connection.
type conn struct {
	client  *Client
	req     *source
	monitor *source
	up      bool   // the handshake is over: what was sent may have arrived
	problem string // why it is not up
	current *exchange
}

// exchange is a request on its way.
type exchange struct {
	request []byte
	again   bool
	conn    *conn
	result  chan result // of one
}

type result struct {
	reply []byte
	err   error
}

// Do sends a request and returns the reply, both JSON, within the context's time. A server that is
// not there yet is waited for. When the connection is lost after the request may have been sent, again
// says whether it may be sent once more. ErrTimeout, ErrLost or ErrRefused, wrapped with the reason.
func (c *Client) Do(ctx context.Context, request []byte, again bool) ([]byte, error) {
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d requests to %s are under way already", ErrTimeout, cap(c.places), c.config.Endpoint)
	}
	defer func() { <-c.places }()
	c.ipv6.Do(func() { c.only6 = onlyIPv6(ctx, c.config.Endpoint) })
	x := &exchange{request: request, again: again, result: make(chan result, 1)}
	if !c.loop.post(func() { c.begin(x) }) {
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrClosed)
	}
	select {
	case r := <-x.result:
		return r.reply, r.err
	case <-ctx.Done():
	case <-c.loop.done:
	}
	if !c.loop.post(func() { c.abandon(x) }) {
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrClosed)
	}
	select {
	case r := <-x.result: // it may have come at the same time
		return r.reply, r.err
	case <-c.loop.done:
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrClosed)
	}
}

// onlyIPv6: libzmq looks names up for one family only.
func onlyIPv6(ctx context.Context, e m2m.Endpoint) bool {
	if e.Path != "" {
		return false
	}
	if ip := net.ParseIP(e.Host); ip != nil {
		return ip.To4() == nil
	}
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, e.Host)
	return err == nil && !slices.ContainsFunc(addresses, func(a net.IPAddr) bool { return a.IP.To4() != nil })
}

// begin sends a request over the connection that was used last, or else over a new one.
func (c *Client) begin(x *exchange) {
	for len(c.idle) > 0 {
		k := c.idle[len(c.idle)-1]
		k.monitor.receive() // it may have been lost just now
		if k.req.closed {
			continue
		}
		c.idle = c.idle[:len(c.idle)-1]
		k.send(x)
		return
	}
	k, err := c.open()
	if err != nil {
		x.result <- result{err: fmt.Errorf("%w: %s: %w", ErrLost, c.config.Endpoint, err)}
		return
	}
	k.send(x)
}

func (c *Client) open() (k *conn, err error) {
	k = &conn{client: c, problem: "it cannot be reached"}
	if k.req, err = c.loop.add(zmq4.REQ, c.set, k.receive); err != nil {
		return nil, err
	}
	const events = zmq4.EVENT_DISCONNECTED | zmq4.EVENT_HANDSHAKE_SUCCEEDED | zmq4.EVENT_HANDSHAKE_FAILED_AUTH |
		zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL
	if k.monitor, err = c.loop.watch(k.req, events, k.told); err == nil {
		err = k.req.socket.Connect(c.config.Endpoint.String())
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (c *Client) set(s *zmq4.Socket) error {
	err := errors.Join(s.SetMaxmsgsize(m2m.MaxMessage), s.SetHandshakeIvl(handshakeTime), s.SetIpv6(c.only6),
		s.SetReconnectIvl(c.config.Reconnect), s.SetReconnectIvlMax(c.config.ReconnectMax),
		s.SetTcpKeepalive(1), s.SetTcpKeepaliveIdle(15), s.SetTcpKeepaliveIntvl(15), c.config.Heartbeat.set(s))
	switch {
	case c.config.Curve != nil:
		return errors.Join(err, c.config.Curve.set(s))
	case c.config.Plain != nil:
		return errors.Join(err, c.config.Plain.set(s))
	}
	return err
}

// send gives the request to libzmq, which sends it as soon as there is a connection.
func (k *conn) send(x *exchange) {
	k.current, x.conn = x, k
	if _, err := k.req.socket.SendMessageDontwait("", x.request); err != nil {
		k.fail(err)
		return
	}
	k.client.loop.look(k.req)
}

// receive takes the reply.
func (k *conn) receive() {
	if k.current == nil {
		_, _ = k.req.socket.GetEvents() // it takes notice of what has happened to the connection
		return
	}
	frames, err := k.req.socket.RecvMessageBytes(zmq4.DONTWAIT)
	if err != nil { // EAGAIN
		return
	}
	text, err := m2m.Text(frames)
	if err != nil {
		k.fail(err)
		return
	}
	x := k.current
	k.current, x.conn = nil, nil
	x.result <- result{reply: text}
	if k.client.closed {
		k.close()
		return
	}
	k.client.idle = append(k.client.idle, k)
}

// told hears of what happens to the connection.
func (k *conn) told(event zmq4.Event, address string, value int) {
	switch event {
	case zmq4.EVENT_HANDSHAKE_SUCCEEDED:
		k.up = true
	case zmq4.EVENT_HANDSHAKE_FAILED_AUTH:
		if x := k.current; x != nil {
			k.finish(fmt.Errorf("%w: %s", ErrRefused, k.client.config.Endpoint))
		}
	case zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		k.problem = "it ends the handshake: it speaks something else, has other keys, or refuses the credentials"
	case zmq4.EVENT_DISCONNECTED:
		k.lost()
	}
}

// lost: before the handshake is over libzmq connects again by itself, and nothing has been sent.
func (k *conn) lost() {
	x := k.current
	switch {
	case x == nil:
		k.close()
	case !k.up:
	case x.again:
		k.current = nil
		k.close()
		k.client.begin(x)
	default:
		k.finish(fmt.Errorf("%w: %s", ErrLost, k.client.config.Endpoint))
	}
}

func (k *conn) fail(err error) {
	k.finish(fmt.Errorf("%w: %s: %w", ErrLost, k.client.config.Endpoint, err))
}

// finish ends the request without a reply, and with it the connection, on which one might still come.
func (k *conn) finish(err error) {
	x := k.current
	k.current, x.conn = nil, nil
	x.result <- result{err: err}
	k.close()
}

func (k *conn) close() {
	c := k.client
	if i := slices.Index(c.idle, k); i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
	}
	if k.monitor != nil {
		if !k.req.closed {
			_ = k.req.socket.Monitor("", 0) // it ends with the socket in any case
		}
		c.loop.drop(k.monitor)
	}
	c.loop.drop(k.req)
}

// abandon ends a request whose time is over.
func (c *Client) abandon(x *exchange) {
	k := x.conn
	switch {
	case k == nil: // it has ended
	case k.up:
		k.finish(fmt.Errorf("%w from %s", ErrTimeout, c.config.Endpoint))
	default:
		k.finish(fmt.Errorf("%w from %s: %s", ErrTimeout, c.config.Endpoint, k.problem))
	}
}

// Close ends the connections that are not in use; the others end with their requests.
func (c *Client) Close() {
	_ = c.loop.call(func() error { // ErrClosed: they have ended
		c.closed = true
		for _, k := range slices.Clone(c.idle) {
			k.close()
		}
		return nil
	})
}
