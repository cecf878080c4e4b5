// Package httprouter is a router's front for HTTP: it reads requests as the workers do, with the same strictness, and
// hands each to a node that speaks uwsgi or HTTP.
package httprouter

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
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

	host  Host
	loops []*loop
	next  atomic.Uint32 // of the loops

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

// Host is the process around a router.
type Host struct {
	Ended func()          // a connection that Take has taken has ended
	Fault func(fault any) // serving one has failed so
}

// Start begins to serve what Take takes, in as many loops as Go has threads. Stop ends it.
func (r *Router) Start(host Host) error {
	r.host = host
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop(r)
		if err != nil {
			r.Stop()
			return err
		}
		r.loops = append(r.loops, l)
	}
	return nil
}

// Stop closes the connections that are left, but for those that goroutines have in hand.
func (r *Router) Stop() {
	for _, l := range r.loops {
		l.stop()
	}
}

// Take serves a connection, whose descriptor does not block and belongs to the router from now on.
func (r *Router) Take(fd int, front *routerspec.Socket, peer netip.AddrPort) {
	l := r.loops[0]
	if n := len(r.loops); n > 1 {
		l = r.loops[int(r.next.Add(1))%n]
	}
	c := &client{own: end{fd: fd, number: -1, readable: true}}
	c.own.client = c
	r.begin(&c.session, front, peer)
	l.take(c)
}

// Serve serves one connection to its end: one that speaks TLS, or that is redirected to it.
func (r *Router) Serve(c *relay.Client) {
	s := &session{client: c.Conn, redirects: c.Front.Redirect}
	r.begin(s, c.Front, c.Peer)
	if c.Secure != nil {
		s.https, s.Vars, s.Misdirected = true, c.Secure.Vars, c.Secure.Misdirected
		s.ProxyHeader, s.studded = 0, false // what was before the handshake
		c.Secure.Proxy.Apply(&s.Conn)
	}
	r.sessions.add(s)
	defer r.sessions.remove(s)
	s.serve()
}

// begin notes what is known of a connection when it has been accepted.
func (r *Router) begin(s *session, front *routerspec.Socket, peer netip.AddrPort) {
	s.r, s.Socket = r, r.socket[front.Port]
	if peer.IsValid() {
		s.RemoteAddr, s.RemotePort = peer.Addr().String(), strconv.Itoa(int(peer.Port()))
	}
	if r.spec.ProxyProtocol {
		s.ProxyHeader = transports.AwaitProxy
	}
	s.studded = len(r.stud) > 0 && r.stud[peer.Addr()]
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
	for _, l := range r.loops {
		l.drain()
	}
}

func (r *Router) lastWait() time.Duration { return max(time.Duration(r.last.Load()), time.Nanosecond) }

// sessions are the connections that Serve has in hand. Its zero value is ready.
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
