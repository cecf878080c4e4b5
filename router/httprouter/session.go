package httprouter

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
	"envoxyd/transports/http"
)

// session is one connection of a client.
type session struct {
	r      *Router
	client *stream.Conn
	transports.Conn
	studded   bool // what comes first is the client's address
	redirects bool // to https, whatever the request
	https     bool // by TLS, or so said what came first

	*scratch             // while a request is in hand, or half of one; else nil
	served   int         // requests
	waiting  atomic.Bool // for a request of which nothing has come
}

// scratch is the memory that a request needs. Connections that wait have none.
type scratch struct {
	head     http.Head
	response http.ResponseHead
	in       []byte // what was read from the client; unread is what is not used yet
	unread   []byte
	next     []byte // what came behind a body
	packet   []byte // to the node
	answer   []byte // from the node
	out      []byte // to the client
}

const (
	firstBuffer = 8 << 10
	mostKept    = 128 << 10 // a larger buffer is not used again
)

var scratches = sync.Pool{New: func() any {
	return &scratch{in: make([]byte, 0, firstBuffer), answer: make([]byte, 0, 2*firstBuffer), packet: make([]byte, 0, firstBuffer), out: make([]byte, 0, 2*firstBuffer)}
}}

func (s *session) release() {
	if s.scratch != nil && cap(s.in)+cap(s.packet)+cap(s.answer)+cap(s.out) <= mostKept {
		s.in, s.unread = s.in[:0], nil
		scratches.Put(s.scratch)
	}
	s.scratch = nil
}

// serve serves requests until the connection ends.
func (s *session) serve() {
	defer s.end()
	for s.receive() && s.serveBegun() {
		s.served++
	}
}

// end ends the connection.
func (s *session) end() {
	_ = s.client.Close()
	s.release()
}

// serveBegun serves a request of which something has come.
func (s *session) serveBegun() (keep bool) {
	ok, err := s.receiveHead()
	if err != nil {
		s.refuse(err)
	}
	if ok && s.redirects {
		s.redirect()
		return false
	}
	return ok && s.exchange()
}

// receive waits for the start of the next request. False: the client has gone, or has said nothing.
func (s *session) receive() bool {
	if s.scratch == nil || len(s.unread) == 0 {
		s.release()
		return s.await()
	}
	s.in = append(s.in[:0], s.unread...) // the ranges may overlap
	return true
}

// receiveHead waits until the head is whole. False without an error: the client has gone.
func (s *session) receiveHead() (bool, *http.Error) {
	end := time.Now().Add(s.r.head)
	for {
		n, err := s.parseHead()
		switch {
		case err != nil:
			return false, refusalOf(err)
		case n > 0:
			s.unread = s.in[n:]
			return true, nil
		case len(s.in) > headLimit:
			return false, http.Refusal(431, "the head is too long")
		}
		if len(s.in) == cap(s.in) {
			s.in = append(make([]byte, 0, 2*cap(s.in)), s.in...)
		}
		s.client.ReadTimeout(max(time.Until(end), time.Millisecond))
		got, failed := s.client.Read(s.in[len(s.in):cap(s.in)])
		s.in = s.in[:len(s.in)+got]
		if got == 0 {
			if errors.Is(failed, os.ErrDeadlineExceeded) && len(s.in) > 0 {
				return false, http.Refusal(408, "the head did not come in time")
			}
			return false, nil
		}
	}
}

// refusalOf is the answer to a head that is wrong.
func refusalOf(err error) *http.Error {
	var refusal *http.Error
	if !errors.As(err, &refusal) {
		refusal = http.Refusal(400, err.Error())
	}
	return refusal
}

// await waits for the first bytes of a request, without any memory for it.
func (s *session) await() bool {
	timeout := s.r.up.Timeout()
	if s.served > 0 {
		timeout = s.r.idle
	}
	s.client.ReadTimeout(timeout)
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	if s.r.draining.Load() { // the next request may be on its way; its answer says that the connection ends
		s.client.ReadTimeout(s.r.lastWait())
	}
	n, err := s.client.ReadInto(func() []byte {
		s.scratch = scratches.Get().(*scratch)
		return s.in[:cap(s.in)]
	}, s.release)
	if n == 0 || err != nil {
		return false
	}
	s.in = s.in[:n]
	return true
}

// parseHead finds out what has come: how many bytes the head has, 0 if it is not whole.
func (s *session) parseHead() (int, error) {
	data := s.in
	if s.studded {
		n, err := s.takeStud(data)
		if n == 0 || err != nil {
			return 0, err
		}
		s.in = append(s.in[:0], data[n:]...)
		s.studded = false
		data = s.in
	}
	if s.ProxyHeader == transports.AwaitProxy {
		size, addresses, err := http.ProxyHeader(data)
		if err != nil || size < 0 {
			return 0, err
		}
		addresses.Apply(&s.Conn)
		s.in = append(s.in[:0], data[size:]...)
		s.ProxyHeader = 0
		data = s.in
	}
	n, err := s.head.Parse(data)
	if n == 0 || err != nil {
		return 0, err
	}
	if n > headLimit {
		return 0, http.Refusal(431, "the head is too long")
	}
	return n, nil
}

// takeStud takes off what stud writes before the bytes of a client: a byte that is the family of its address, and the
// address. Whoever comes through stud has come by HTTPS. 0: it is not whole.
func (s *session) takeStud(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	size := map[byte]int{2: 4, 10: 16}[data[0]] // AF_INET, AF_INET6
	if size == 0 {
		return 0, http.Refusal(400, "no address of a client in front (http-stud-prefix)")
	}
	if len(data) < 1+size {
		return 0, nil
	}
	addr, _ := netip.AddrFromSlice(data[1 : 1+size])
	s.RemoteAddr, s.RemotePort = addr.Unmap().String(), ""
	own := *s.Socket
	own.Extra = uwsgi.AppendVar(append([]byte(nil), own.Extra...), "HTTPS", "on")
	s.Socket, s.https = &own, true
	return 1 + size, nil
}

// redirect answers a request with its address at https. A body is not waited for.
func (s *session) redirect() {
	answer, err := s.head.AppendRedirection(s.out[:0], s.Socket.ServerName)
	var refusal *http.Error
	if errors.As(err, &refusal) {
		s.refuse(refusal)
		return
	}
	if s.send(answer) == nil {
		s.client.Linger()
	}
}

// refuse answers a request that goes nowhere, and ends the connection so that the client can read that.
func (s *session) refuse(e *http.Error) {
	s.client.WriteTimeout(s.r.up.Timeout())
	if _, err := s.client.Write([]byte(e.StatusText())); err == nil {
		s.client.Linger()
	}
}
