package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// clientTimeout bounds what one client of the statistics may take.
const clientTimeout = 4 * time.Second

// Servers answer each connection to some addresses with the JSON document. The zero value
// serves none. Its methods are called by the goroutine that owns the state.
type Servers struct{ all []*server }

// Listener is a listening socket on which statistics are asked for.
type Listener struct {
	FD   int // it stays the caller's
	Name string
}

// ServerForm is how servers answer.
type ServerForm struct {
	JSONForm
	HTTP bool // a request is read, and headers stand before the document
}

// server serves one address. Its goroutines are waited for by close.
type server struct {
	host     Host
	address  Listener
	form     ServerForm
	http     *fasthttp.Server // nil: the document stands alone
	listener net.Listener
	ctx      context.Context // ends when close begins
	end      context.CancelFunc
	running  sync.WaitGroup
}

// Replace serves these addresses from now on. A server goes on if its address and form are the same.
func (s *Servers) Replace(host Host, addresses []Listener, form ServerForm) {
	var kept []*server
	for _, one := range s.all {
		if one.form == form && slices.Contains(addresses, one.address) {
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
		one, err := newServer(host, address, form)
		if err != nil {
			host.Logf("%v", err)
			continue
		}
		host.Logf("*** Stats server enabled on %s fd: %d ***", address.Name, address.FD)
		s.all = append(s.all, one)
	}
}

// Close ends all servers and waits for their goroutines; the listening sockets stay open.
func (s *Servers) Close() {
	for _, one := range s.all {
		one.close()
	}
	s.all = nil
}

func newServer(host Host, address Listener, form ServerForm) (*server, error) {
	fd, err := unix.FcntlInt(uintptr(address.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("stats server on %s: %w", address.Name, err)
	}
	file := os.NewFile(uintptr(fd), address.Name)
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("stats server on %s: %w", address.Name, err)
	}
	if local, is := listener.(*net.UnixListener); is {
		local.SetUnlinkOnClose(false) // vacuum decides about the file
	}
	s := &server{host: host, address: address, form: form, listener: listener}
	s.ctx, s.end = context.WithCancel(context.Background())
	if form.HTTP {
		s.http = s.newHTTP()
	}
	s.running.Go(s.accept)
	return s, nil
}

func (s *server) close() {
	s.end()
	_ = s.listener.Close()
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
			s.running.Go(func() { s.answer(conn) })
		}
	}
}

// answer writes the statistics and closes the connection.
func (s *server) answer(conn net.Conn) {
	defer conn.Close()
	finished := make(chan struct{})
	defer close(finished)
	_ = conn.SetDeadline(time.Now().Add(clientTimeout)) // a connection that is gone fails at its first use
	s.running.Go(func() {                               // a slow client does not hold close up
		select {
		case <-s.ctx.Done():
			_ = conn.SetDeadline(time.Now())
		case <-finished:
		}
	})
	if s.http != nil {
		_ = s.http.ServeConn(conn) // the client's loss
		return
	}
	if document := s.document(); document != nil {
		_, _ = conn.Write(document) // the client's loss
	}
}

// document is the statistics as they are now; nil when the end has come, or an error.
func (s *server) document() []byte {
	snapshot := s.host.Ask(s.ctx)
	if snapshot == nil {
		return nil
	}
	snapshot.Measure(NoMemory)
	var text bytes.Buffer
	if err := snapshot.WriteJSON(&text, s.form.JSONForm); err != nil {
		s.host.Logf("stats server: %v", err)
		return nil
	}
	return text.Bytes()
}
