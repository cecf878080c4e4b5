// Package management serves the sockets on which the master itself answers: statistics, metrics,
// pages about its state. It knows neither the master nor what is asked there: a Service answers.
package management

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Listener is a listening socket on which a service is asked.
type Listener struct {
	FD   int // it stays the caller's
	Name string
}

// Service is what answers on a socket.
type Service struct {
	Title string // in the log
	// Form is compared: a server that is to be kept goes on with what it serves if it is the same.
	Form any
	// Open returns what answers one connection of a server, which is closed when that returns.
	// ctx ends when the server closes. Both are called on any goroutine.
	Open func(ctx context.Context) (answer func(net.Conn))
	// Logf is called on any goroutine.
	Logf func(format string, args ...any)
}

// Servers serve a service on some sockets. The zero value serves none. Its methods are called
// by the goroutine that owns the master's state.
type Servers struct {
	all     []*server
	retired []*server
}

// Replace serves these sockets from now on. A server goes on if its socket and form are the same.
func (s *Servers) Replace(addresses []Listener, service Service) {
	var kept []*server
	for _, one := range s.all {
		if one.service.Form == service.Form && slices.Contains(addresses, one.address) {
			kept = append(kept, one)
		} else {
			one.close()
		}
	}
	s.all = kept
	for _, address := range addresses {
		if slices.ContainsFunc(s.all, func(one *server) bool { return one.address == address }) {
			continue
		}
		one, err := newServer(address, service)
		if err != nil {
			service.Logf("%v", err)
			continue
		}
		service.Logf("*** %s enabled on %s fd: %d ***", service.Title, address.Name, address.FD)
		s.all = append(s.all, one)
	}
}

// Retire accepts no more connections, as another master does so now, and ends those that wait for a
// request. Requests in hand are answered. Close has still to be called.
func (s *Servers) Retire() {
	for _, one := range s.all {
		one.retire()
	}
	s.retired, s.all = append(s.retired, s.all...), nil
}

// Close ends all servers, cuts their connections, and waits for their goroutines; the listening
// sockets stay open.
func (s *Servers) Close() {
	for _, one := range append(s.retired, s.all...) {
		one.close()
	}
	s.retired, s.all = nil, nil
}

// server serves one socket. Its goroutines are waited for by close.
type server struct {
	address  Listener
	service  Service
	answer   func(net.Conn)
	listener net.Listener
	ctx      context.Context // ends when close begins
	end      context.CancelFunc
	running  sync.WaitGroup

	mu          sync.Mutex
	leaving     bool
	connections map[*connection]bool // true: it waits for a request
}

// connection is one of a server's clients.
type connection struct {
	net.Conn
	server *server
}

func newServer(address Listener, service Service) (*server, error) {
	fd, err := unix.FcntlInt(uintptr(address.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", service.Title, address.Name, err)
	}
	file := os.NewFile(uintptr(fd), address.Name)
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", service.Title, address.Name, err)
	}
	if local, is := listener.(*net.UnixListener); is {
		local.SetUnlinkOnClose(false) // vacuum decides about the file
	}
	s := &server{address: address, service: service, listener: listener, connections: map[*connection]bool{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.answer = service.Open(s.ctx)
	s.running.Go(s.accept)
	return s, nil
}

// retire leaves only connections with a request in hand.
func (s *server) retire() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	for conn, idle := range s.connections {
		if idle {
			_ = conn.Close()
		}
	}
}

func (s *server) close() {
	s.end()
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.connections {
		_ = conn.Close() // a slow client holds nobody up
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptors are left, perhaps
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(time.Second):
			}
		default:
			s.running.Go(func() { s.serve(&connection{conn, s}) })
		}
	}
}

func (s *server) serve(conn *connection) {
	defer conn.Close()
	if !s.add(conn) {
		return
	}
	defer s.remove(conn)
	s.answer(conn)
}

// add notes a connection; false: close has begun.
func (s *server) add(conn *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections[conn] = false
	return s.ctx.Err() == nil
}

func (s *server) remove(conn *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, conn)
}

// wait notes whether the connection waits for a request. It is closed if no more are served.
func (c *connection) wait(idle bool) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections[c] = idle
	if idle && s.leaving {
		_ = c.Close()
	}
}
