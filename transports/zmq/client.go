package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
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
// socket, which has no more than one request. All of it is the loop's.
type Client struct {
	loop   *Loop
	config ClientConfig

	known   bool // which addresses the server's name has
	asked   bool // that is being found out
	only6   bool // no IPv4 address
	inUse   int  // requests under way
	waiting []*Exchange
	idle    []*conn
	closed  bool
}

// Client makes one; it connects at the first request.
func (l *Loop) Client(config ClientConfig) *Client {
	if config.MaxConnections <= 0 {
		config.MaxConnections = 50
	}
	if config.Reconnect <= 0 {
		config.Reconnect = 100 * time.Millisecond
	}
	c := &Client{loop: l, config: config}
	ip := net.ParseIP(config.Endpoint.Host)
	c.known = config.Endpoint.Path != "" || ip != nil
	c.only6 = ip != nil && ip.To4() == nil
	return c
}

// conn is a socket with one connection.
type conn struct {
	client  *Client
	req     *source
	monitor *source
	up      bool   // the handshake is over: what was sent may have arrived
	problem string // why it is not up
	current *Exchange
}

// Exchange is a request on its way.
type Exchange struct {
	client  *Client
	request []byte
	again   bool
	conn    *conn // nil: it waits for one
	over    bool
	late    *time.Timer
	done    func(reply []byte, err error)
}

// Do is Start for others than the loop, within the context's time.
func (c *Client) Do(ctx context.Context, request []byte, again bool) (reply []byte, err error) {
	done := make(chan struct{})
	var x *Exchange
	if !c.loop.post(func() {
		x = c.Start(request, again, 0, func(got []byte, failed error) { reply, err = got, failed; close(done) })
	}) {
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrClosed)
	}
	stop := context.AfterFunc(ctx, func() { c.loop.post(func() { x.abandon() }) })
	defer stop()
	select {
	case <-done:
		return reply, err
	case <-c.loop.done:
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrClosed)
	}
}

// Start sends a request; done gets the reply, both JSON. A server that is not there yet is waited for,
// until the time is over (0: as long as the loop runs). When the connection is lost after the request may
// have been sent, again says whether it may be sent once more. Errors are ErrTimeout, ErrLost or ErrRefused,
// wrapped with the reason. It is called on the loop, as done is.
func (c *Client) Start(request []byte, again bool, wait time.Duration, done func(reply []byte, err error)) *Exchange {
	x := &Exchange{client: c, request: request, again: again, done: done}
	if wait > 0 {
		x.late = time.AfterFunc(wait, func() { c.loop.post(x.abandon) })
	}
	if !c.known || c.inUse >= c.config.MaxConnections {
		c.waiting = append(c.waiting, x)
		c.lookUp()
		return x
	}
	c.inUse++
	c.begin(x)
	return x
}

// lookUp finds out, once, whether the server's name has IPv4 addresses: libzmq looks names up for one family only.
func (c *Client) lookUp() {
	if c.known || c.asked {
		return
	}
	c.asked = true
	c.loop.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookUpTime)
		defer cancel()
		addresses, err := net.DefaultResolver.LookupIPAddr(ctx, c.config.Endpoint.Host)
		c.loop.post(func() {
			c.known = true
			c.only6 = err == nil && !slices.ContainsFunc(addresses, func(a net.IPAddr) bool { return a.IP.To4() != nil })
			c.next()
		})
	})
}

// lookUpTime is how long a name may take.
const lookUpTime = 10 * time.Second

// next begins what waits, as far as there is room.
func (c *Client) next() {
	for c.known && len(c.waiting) > 0 && c.inUse < c.config.MaxConnections {
		x := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.inUse++
		c.begin(x)
	}
}

// begin sends a request over the connection that was used last, or else over a new one.
func (c *Client) begin(x *Exchange) {
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
		x.end(nil, fmt.Errorf("%w: %s: %w", ErrLost, c.config.Endpoint, err))
		return
	}
	k.send(x)
}

// end gives the result of a request that is under way.
func (x *Exchange) end(reply []byte, err error) {
	x.conn, x.over = nil, true
	if x.late != nil {
		x.late.Stop()
	}
	x.client.inUse--
	x.done(reply, err)
	x.client.next()
}

// abandon ends a request whose time is over.
func (x *Exchange) abandon() {
	c, k := x.client, x.conn
	switch i := slices.Index(c.waiting, x); {
	case x.over:
	case i >= 0:
		c.waiting = slices.Delete(c.waiting, i, i+1)
		x.over = true
		x.done(nil, fmt.Errorf("%w: %d requests to %s are under way already", ErrTimeout, c.inUse, c.config.Endpoint))
	case k == nil: // begin runs
	case k.up:
		k.finish(fmt.Errorf("%w from %s", ErrTimeout, c.config.Endpoint))
	default:
		k.finish(fmt.Errorf("%w from %s: %s", ErrTimeout, c.config.Endpoint, k.problem))
	}
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
func (k *conn) send(x *Exchange) {
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
	k.current = nil
	if k.client.closed {
		k.close()
	} else {
		k.client.idle = append(k.client.idle, k)
	}
	x.end(text, nil)
}

// told hears of what happens to the connection.
func (k *conn) told(event zmq4.Event, address string, value int) {
	switch event {
	case zmq4.EVENT_HANDSHAKE_SUCCEEDED:
		k.up = true
	case zmq4.EVENT_HANDSHAKE_FAILED_AUTH:
		if k.current != nil {
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
	k.current = nil
	k.close()
	x.end(nil, err)
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

// Close ends the connections that are not in use; the others end with their requests. It is called on the loop.
func (c *Client) Close() {
	c.closed = true
	for _, k := range slices.Clone(c.idle) {
		k.close()
	}
}
