package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"golang.org/x/sys/unix"
)

// Client asks one server, over as many connections as there are requests at a time.
type Client struct {
	// Endpoint is tcp://host:port.
	Endpoint string
	// MaxConnections bounds the connections; further requests wait. 0: 50.
	MaxConnections int

	mu     sync.Mutex
	idle   []*link
	places chan struct{}
	closed bool
}

// dialPause is how long a client waits before it tries again to connect.
const dialPause = 100 * time.Millisecond

// Do sends a request and returns the reply, both JSON, within the context's time.
// A server that is not there yet is waited for. When the connection is lost after the
// request has been sent, again says whether the request may be sent once more.
// ErrTimeout or ErrLost, wrapped with the reason.
func (c *Client) Do(ctx context.Context, request []byte, again bool) ([]byte, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.places }()
	for {
		l, err := c.connection(ctx)
		if err != nil {
			return nil, err
		}
		reply, sent, err := exchange(ctx, l, request)
		if err == nil {
			c.keep(l)
			return reply, nil
		}
		_ = l.conn.Close()
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w from %s", ErrTimeout, c.Endpoint)
		case sent && !again:
			return nil, fmt.Errorf("%w: %s: %w", ErrLost, c.Endpoint, err)
		}
	}
}

func (c *Client) enter(ctx context.Context) error {
	c.mu.Lock()
	if c.places == nil {
		most := c.MaxConnections
		if most <= 0 {
			most = 50
		}
		c.places = make(chan struct{}, most)
	}
	c.mu.Unlock()
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %d requests to %s are under way already", ErrTimeout, cap(c.places), c.Endpoint)
	}
}

// connection takes a kept connection that is still open, or makes one.
func (c *Client) connection(ctx context.Context) (l *link, err error) {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			break
		}
		l, c.idle = c.idle[n-1], c.idle[:n-1]
		c.mu.Unlock()
		if alive(l.conn.Conn) {
			return l, nil
		}
		_ = l.conn.Close()
	}
	address, err := Address(c.Endpoint)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	var last error
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			if l, err = open(conn, zmq4.Req, false, handshakeTime); err == nil {
				return l, nil
			}
			_ = conn.Close()
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s cannot be reached: %w", ErrTimeout, c.Endpoint, last)
		case <-time.After(dialPause):
		}
	}
}

// alive tells whether the peer still holds a connection that is not in use.
func alive(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = errors.Is(err, unix.EAGAIN)
	})
	return err == nil && open
}

func exchange(ctx context.Context, l *link, request []byte) (reply []byte, sent bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Now()) })
	defer stop()
	if err := l.send(request); err != nil {
		return nil, false, err
	}
	reply, err = l.receive()
	return reply, true, err
}

func (c *Client) keep(l *link) {
	_ = l.conn.SetDeadline(time.Time{}) // an error shows at the next use
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = l.conn.Close()
		return
	}
	c.idle = append(c.idle, l)
}

// Close ends the connections that are not in use; the others end with their requests.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, l := range c.idle {
		_ = l.conn.Close()
	}
	c.idle = nil
}
