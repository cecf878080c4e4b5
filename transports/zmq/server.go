package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"

	"envoxyd/protocol/m2m"
)

// ErrTaken tells that another process answers on an ipc endpoint.
var ErrTaken = errors.New("another process answers there")

// What is read ahead of the workers is bounded; beyond it peers' messages wait in their connections.
const (
	maxPending      = 4096
	maxPendingBytes = 256 << 20
)

// settleTime is how long nothing has come when a server is closed; patience is how long that server waits, at most,
// for the next request of peers whose last one is not older than activeTime.
const (
	settleTime = 20 * time.Millisecond
	patience   = 500 * time.Millisecond
	activeTime = time.Second
)

// unbindTime is how long an address that is given up may take to be free.
const unbindTime = 2 * time.Second

// Request is what a peer asks.
type Request struct {
	Text []byte // as it came; empty for a message of another form
	Peer string // the IP address; "" over ipc
	User string // of PLAIN, or the public key of CURVE; "" without
}

// ServerConfig is how a Server is bound.
type ServerConfig struct {
	Endpoint  m2m.Endpoint
	Curve     *ServerCurve
	Users     map[string]string // passwords of PLAIN by user; nil: not PLAIN
	HWM       int               // messages that may wait in each direction of a connection; 0: 1000
	Heartbeat Heartbeat

	// Answer makes the reply to a request. It is called on a goroutine of the request's; its context
	// ends when the server closes and the timeout is over. With nil the peer gets none.
	// A peer's requests are answered one after the other.
	Answer func(ctx context.Context, r *Request) []byte
	// Begin, if it is not nil, is asked before. It is called on the loop and must not wait; true: it
	// has reply called, on the loop.
	Begin func(ctx context.Context, r *Request, reply func([]byte)) bool
}

// Server answers the requests of any number of REQ or DEALER peers, by a ROUTER socket.
type Server struct {
	loop    *Loop
	config  ServerConfig
	domain  string
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	closed  chan struct{} // closed when the socket is, and the address is free
	address string
	file    os.FileInfo // of an ipc endpoint

	// What follows is the loop's.
	router       *source
	monitor      *source
	bound        string
	peers        map[string][]*Request // by routing id: those that are being answered, and what waits behind
	pending      int
	taken        int                  // requests so far
	asked        map[string]time.Time // by routing id: when a peer asked last; those of before activeTime may be missing
	askedLimit   int                  // how many of them there are when those that are too old are forgotten
	settling     bool
	bytes        int
	draining     bool // it is to be closed when nothing is in hand
	drainedSince time.Time
	holding      bool // replies are kept for the end
	held         []heldReply

	connections map[int]bool // their descriptors, which are libzmq's
	deaf        bool         // takes nothing more
	finishing   bool         // only the address is still waited for
	gone        bool
	timers      []*time.Timer
}

// Bind answers on an endpoint from now on.
func (l *Loop) Bind(config ServerConfig) (*Server, error) {
	s := &Server{loop: l, config: config, peers: map[string][]*Request{}, asked: map[string]time.Time{}, connections: map[int]bool{}, closed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	endpoint, err := bindable(config.Endpoint)
	if err == nil {
		err = l.call(func() error { return s.bind(endpoint) })
	}
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("zmq: %s: %w", config.Endpoint, err)
	}
	return s, nil
}

// bindable is an endpoint that libzmq can bind: it looks no names up, and takes a socket's file away from whoever has it.
func bindable(e m2m.Endpoint) (string, error) {
	if e.Path != "" {
		network, path := e.Dial()
		if conn, err := net.Dial(network, path); err == nil {
			_ = conn.Close()
			return "", ErrTaken
		}
		return e.String(), nil
	}
	if e.Host != "" && net.ParseIP(e.Host) == nil {
		if _, err := net.InterfaceByName(e.Host); err != nil {
			addresses, err := net.LookupIP(e.Host)
			if err != nil {
				return "", err
			}
			e.Host = addresses[0].String()
		}
	}
	return e.String(), nil
}

func (s *Server) bind(endpoint string) (err error) {
	l := s.loop
	l.number++
	s.domain = fmt.Sprintf("server-%d", l.number)
	defer func() {
		if err != nil {
			s.drop()
		}
	}()
	if s.router, err = l.add(zmq4.ROUTER, s.set, s.receive); err != nil {
		return err
	}
	const events = zmq4.EVENT_ACCEPTED | zmq4.EVENT_DISCONNECTED | zmq4.EVENT_CLOSED | zmq4.EVENT_ACCEPT_FAILED | zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL
	if s.monitor, err = l.watch(s.router, events, s.told); err != nil {
		return err
	}
	l.servers[s.domain] = s
	if err := s.router.socket.Bind(endpoint); err != nil {
		return err
	}
	s.bound, err = s.router.socket.GetLastEndpoint()
	s.address = s.bound
	if err == nil && s.config.Endpoint.Path != "" {
		s.file, _ = os.Stat(s.config.Endpoint.Path) // an abstract one has no file
	}
	return err
}

func (s *Server) set(socket *zmq4.Socket) error {
	set := func(errs ...error) error { return errors.Join(errs...) }
	err := set(socket.SetLinger(lingerTime), socket.SetMaxmsgsize(m2m.MaxMessage), socket.SetHandshakeIvl(handshakeTime),
		socket.SetRouterMandatory(1), // a peer that has gone is an error
		socket.SetIpv6(s.config.Endpoint.Host == "" || strings.Contains(s.config.Endpoint.Host, ":")), socket.SetTcpKeepalive(1), socket.SetTcpKeepaliveIdle(15), socket.SetTcpKeepaliveIntvl(15),
		socket.SetZapDomain(s.domain), socket.SetBacklog(1024), s.config.Heartbeat.set(socket))
	if s.config.HWM > 0 {
		err = errors.Join(err, socket.SetSndhwm(s.config.HWM), socket.SetRcvhwm(s.config.HWM))
	}
	switch {
	case s.config.Curve != nil:
		return errors.Join(err, s.config.Curve.set(socket))
	case s.config.Users != nil:
		return errors.Join(err, socket.SetPlainServer(1))
	}
	return err
}

// String is where it is bound.
func (s *Server) String() string { return s.config.Endpoint.String() }

// Address is where it is bound, with the port that was found for port 0.
func (s *Server) Address() string { return s.address }

// told hears of what happens to the listening socket and to handshakes.
func (s *Server) told(event zmq4.Event, address string, value int) {
	switch event {
	case zmq4.EVENT_ACCEPTED:
		s.connections[value] = true
	case zmq4.EVENT_DISCONNECTED:
		delete(s.connections, value)
	case zmq4.EVENT_CLOSED:
		if s.finishing {
			s.drop()
		}
	case zmq4.EVENT_ACCEPT_FAILED:
		if s.loop.seldom("accept" + s.domain) {
			s.loop.logf("%s: accept: %v", s, zmq4.Errno(value))
		}
	case zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		if event == zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL && zmq4.Errno(value) == zmq4.Errno(unix.EPIPE) {
			return // it has gone away, as checks of health do that only connect
		}
		if s.loop.seldom("handshake" + s.domain) {
			s.loop.logf("%s: the handshake of a peer failed: it speaks something else, or with other security", s)
		}
	}
}

// receive takes what has arrived.
func (s *Server) receive() {
	for range batch {
		if s.deaf || s.pending >= maxPending || s.bytes >= maxPendingBytes {
			return // answered looks again
		}
		frames, about, err := s.router.socket.RecvMessageBytesWithMetadata(zmq4.DONTWAIT, "Peer-Address", "User-Id")
		if err != nil {
			if !errors.Is(err, zmq4.Errno(unix.EAGAIN)) && s.loop.seldom("receive"+s.domain) {
				s.loop.logf("%s: %v", s, err)
			}
			s.settle()
			return
		}
		text, err := m2m.Text(frames[1:])
		if err != nil && s.loop.seldom("frames"+s.domain) {
			s.loop.logf("%s: %v", s, err)
		}
		r := &Request{Text: text, User: about["User-Id"]}
		if s.config.Endpoint.Path == "" {
			r.Peer = strings.TrimPrefix(about["Peer-Address"], "::ffff:")
		}
		s.take(string(frames[0]), r)
	}
	s.loop.look(s.router)
}

func (s *Server) take(peer string, r *Request) {
	s.pending++
	s.taken++
	s.bytes += len(r.Text)
	s.noteAsked(peer)
	waiting, busy := s.peers[peer]
	if busy {
		s.peers[peer] = append(waiting, r)
		return
	}
	s.peers[peer] = nil
	s.start(peer, r)
}

func (s *Server) start(peer string, r *Request) {
	if s.config.Begin != nil && s.config.Begin(s.ctx, r, func(reply []byte) { s.answered(peer, r, reply) }) {
		return
	}
	s.running.Go(func() {
		reply := s.config.Answer(s.ctx, r)
		s.loop.post(func() { s.answered(peer, r, reply) })
	})
}

func (s *Server) send(peer string, reply []byte) {
	_, err := s.router.socket.SendMessageDontwait(peer, "", "", reply)
	switch {
	case err == nil, errors.Is(err, zmq4.EHOSTUNREACH): // the peer has gone
	case s.loop.seldom("send" + s.domain):
		s.loop.logf("%s: a reply was dropped: the peer does not read: %v", s, err)
	}
}

// answered sends a reply, and starts the peer's next request.
func (s *Server) answered(peer string, r *Request, reply []byte) {
	s.pending--
	s.bytes -= len(r.Text)
	if s.finishing {
		return
	}
	switch {
	case reply == nil:
	case s.holding:
		s.held = append(s.held, heldReply{peer, reply})
	default:
		s.send(peer, reply)
	}
	waiting := s.peers[peer]
	if len(waiting) == 0 {
		delete(s.peers, peer)
	} else {
		s.peers[peer] = waiting[1:]
		s.start(peer, waiting[0])
	}
	s.loop.look(s.router)
	s.settle()
}

// finish sends what was held and gives the address up, and with it all connections. When the address is
// free, drop is called.
func (s *Server) finish() {
	if s.finishing {
		return
	}
	s.finishing, s.deaf = true, true
	if s.router.closed {
		s.drop()
		return
	}
	s.partWith(func() {
		if s.router.closed || s.router.socket.Unbind(s.bound) != nil {
			s.drop()
			return
		}
		s.after(unbindTime, s.drop)
	})
}

func (s *Server) after(wait time.Duration, f func()) {
	s.timers = append(s.timers, time.AfterFunc(wait, func() { s.loop.post(f) }))
}

func (s *Server) drop() {
	if s.gone {
		return
	}
	s.gone = true
	delete(s.loop.servers, s.domain)
	if s.monitor != nil {
		_ = s.router.socket.Monitor("", 0) // it ends with the socket in any case
		s.loop.drop(s.monitor)
	}
	s.loop.drop(s.router)
	for _, timer := range s.timers {
		timer.Stop()
	}
	if s.file != nil { // libzmq leaves it
		path := s.config.Endpoint.Path
		if now, err := os.Stat(path); err == nil && os.SameFile(now, s.file) {
			_ = os.Remove(path) // nobody listens there
		}
	}
	close(s.closed)
}
