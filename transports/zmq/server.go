package zmq

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// handshakeTime bounds the handshake of a peer.
const handshakeTime = 10 * time.Second

// replyTime bounds what a peer may take to read a reply.
const replyTime = time.Minute

// maxPeers bounds the connections that are served at the same time.
const maxPeers = 4096

// Server answers the requests of any number of REQ or DEALER peers on one listener,
// as a ROUTER socket would.
type Server struct {
	// Answer makes the reply to one request, both JSON. It is called on a goroutine of
	// the peer's; its context ends when the server closes and the timeout is over. A nil reply
	// closes the connection.
	Answer func(ctx context.Context, request []byte, peer string) []byte
	Logf   func(string, ...any)

	mu      sync.Mutex
	peers   map[net.Conn]bool // true: a request is being answered
	closing bool
	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

// Serve accepts until the listener is closed.
func (s *Server) Serve(listener net.Listener) {
	s.mu.Lock()
	if s.peers == nil {
		s.peers = map[net.Conn]bool{}
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	s.mu.Unlock()
	var told time.Time
	for {
		conn, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if time.Since(told) >= time.Second {
				told = time.Now()
				s.Logf("zmq: %v", err)
			}
			time.Sleep(100 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		s.running.Go(func() { s.serve(conn) })
	}
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	if !s.enter(conn) {
		return
	}
	defer s.leave(conn)
	l, err := open(conn, zmq4.Router, true, handshakeTime)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			s.Logf("zmq: %s: %v", conn.RemoteAddr(), err)
		}
		return
	}
	if !s.busy(conn, false) { // it closes, and the handshake has reset its deadline
		return
	}
	peer := conn.RemoteAddr().String()
	for {
		request, err := l.receive()
		if err != nil {
			if errors.Is(err, ErrTooLong) || errors.Is(err, ErrFrames) {
				s.Logf("%s: %v", peer, err)
			}
			return
		}
		if !s.busy(conn, true) {
			return // the peer has closed the connection
		}
		reply := s.Answer(s.ctx, request, peer)
		if reply == nil || conn.SetWriteDeadline(time.Now().Add(replyTime)) != nil || l.send(reply) != nil || !s.busy(conn, false) {
			return
		}
	}
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.peers) >= maxPeers {
		return false
	}
	s.peers[c] = false
	return true
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, c)
}

// busy notes whether the peer has a request that is being answered; false: the server closes.
func (s *Server) busy(c net.Conn, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[c] = on
	return !s.closing
}

// Close answers the current requests, within the timeout, and ends every
// connection. The listener is the caller's to close, first.
func (s *Server) Close(timeout time.Duration) {
	s.mu.Lock()
	s.closing = true
	for c, busy := range s.peers {
		if !busy {
			_ = c.SetReadDeadline(time.Now()) // it waits for a request, or is still in its handshake
		}
	}
	cancel := s.cancel
	s.mu.Unlock()
	if cancel == nil {
		return
	}
	late := time.AfterFunc(timeout, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.peers {
			_ = c.SetDeadline(time.Now()) // it does not read its reply
		}
	})
	defer late.Stop()
	s.running.Wait()
	cancel()
}
