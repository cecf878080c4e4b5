// Package httprouter is a router's front for HTTP: it reads requests as the workers do, with the same strictness, and
// hands each to a node that speaks uwsgi or HTTP.
package httprouter

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/internal/routerspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/router/relay"
	"envoxyd/transports"
)

// headLimit is how long a request's head may be, bytes. What a node takes may be less.
const headLimit = 64 << 10

// Router serves clients of HTTP.
type Router struct {
	up     *relay.Upstreams
	spec   routerspec.HTTP
	socket map[string]*transports.Socket // by the front's port
	stud   map[netip.Addr]bool
	head   time.Duration // for a request's whole head
	idle   time.Duration // between two requests of a connection
	spool  *relay.Spool

	draining atomic.Bool
	last     atomic.Int64 // how long requests are waited for then, nanoseconds
	sessions sessions
}

// New makes the router that the specification names.
func New(up *relay.Upstreams, spec *routerspec.Spec) (*Router, error) {
	r := &Router{up: up, spec: spec.HTTP, socket: map[string]*transports.Socket{}, stud: map[netip.Addr]bool{},
		head: relay.Millis(spec.HTTP.HeadMillis), idle: relay.Millis(spec.HTTP.KeepaliveMillis),
		spool: relay.NewSpool(&spec.Routing)}
	if r.head == 0 {
		r.head = up.Timeout()
	}
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("the name of this host: %w", err)
	}
	var extra []byte
	for _, pair := range r.spec.Vars {
		name, value, _ := strings.Cut(pair, "=")
		if !uwsgi.Fits(len(name)) || !uwsgi.Fits(len(value)) {
			return nil, fmt.Errorf("http-var %.20s...: %w", name, uwsgi.ErrTooLong)
		}
		extra = uwsgi.AppendVar(extra, name, value)
	}
	for _, front := range spec.Fronts {
		r.socket[front.Port] = &transports.Socket{Limit: headLimit, ServerName: hostname, Port: front.Port, Router: true, KeepAlive: r.idle > 0, Extra: extra,
			HostName: r.spec.ServerNameHost, KeepSlash: r.spec.KeepSlashes}
	}
	for _, text := range r.spec.Stud {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("http-stud-prefix %s: %w", text, err)
		}
		r.stud[addr] = true
	}
	return r, nil
}

// Serve serves one connection to its end.
func (r *Router) Serve(c *relay.Client) {
	s := &session{r: r, client: c.Conn, redirects: c.Front.Redirect}
	s.Socket = r.socket[c.Front.Port]
	if c.Peer.IsValid() {
		s.RemoteAddr, s.RemotePort = c.Peer.Addr().String(), strconv.Itoa(int(c.Peer.Port()))
	}
	switch {
	case c.Secure != nil:
		s.https, s.Vars, s.Misdirected = true, c.Secure.Vars, c.Secure.Misdirected
		c.Secure.Proxy.Apply(&s.Conn)
	case r.spec.ProxyProtocol:
		s.ProxyHeader = transports.AwaitProxy
	}
	s.studded = c.Secure == nil && len(r.stud) > 0 && r.stud[c.Peer.Addr()]
	r.sessions.add(s)
	defer r.sessions.remove(s)
	s.serve()
}

// Drain has every connection end with the request that it has in hand. Those that wait for a request end: after the
// given time, as one may be on its way.
func (r *Router) Drain(idle time.Duration) {
	r.last.Store(int64(idle))
	r.draining.Store(true)
	r.sessions.each(func(s *session) {
		if s.waiting.Load() {
			s.client.ReadTimeout(r.lastWait())
		}
	})
}

func (r *Router) lastWait() time.Duration { return max(time.Duration(r.last.Load()), time.Nanosecond) }

// sessions are the connections that there are. Its zero value is ready.
type sessions struct {
	mu  sync.Mutex
	all map[*session]struct{}
}

func (all *sessions) add(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.all == nil {
		all.all = map[*session]struct{}{}
	}
	all.all[s] = struct{}{}
}

func (all *sessions) remove(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.all, s)
}

func (all *sessions) each(do func(*session)) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for s := range all.all {
		do(s)
	}
}

// forwardedFor is the field that tells a node of HTTP the client's address.
func forwardedFor(before []byte, addr string) string {
	if net.ParseIP(addr) == nil {
		return ""
	}
	if len(before) > 0 {
		return string(before) + ", " + addr
	}
	return addr
}
