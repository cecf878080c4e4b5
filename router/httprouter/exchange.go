package httprouter

import (
	"errors"
	"io"
	"os"
	"syscall"

	"envoxyd/internal/logtext"
	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// framing is how a request's body comes.
type framing int

const (
	noBody framing = iota
	sized
	chunked // passed on in its chunks
	kept    // there as a whole
	endless // whatever comes until the connection ends (--http-raw-body, --http-manage-source)
	websocket
)

// request is the one in hand.
type request struct {
	framing framing
	length  int64 // of a sized body
	body    *relay.Kept
	keep    bool // the client lets the connection live on
	isHead  bool
	safe    bool  // another node may get it after one has broken the connection
	left    int64 // bytes of a sized body that the client has not sent yet
	whole   bool  // all of it has been read
	attempt *relay.Attempt
	answer  delivery
}

// exchange has a node answer the request whose head is parsed. keep: the connection can serve another one.
func (s *session) exchange() (keep bool) {
	q, refusal := s.describe()
	if refusal != nil {
		s.refuse(refusal)
		return false
	}
	if s.buffers(q) {
		if refusal := s.keepBody(q); refusal != nil {
			if refusal.Status > 0 {
				s.refuse(refusal)
			}
			return false
		}
		defer q.body.Close()
	}
	q.attempt = s.r.up.Attempt(string(s.head.Host()), s.RemoteAddr)
	return s.pursue(q)
}

// buffers tells whether the whole body is to be there before a node is asked.
func (s *session) buffers(q *request) bool {
	most := s.r.up.Spec.PostBuffering
	return q.framing == chunked && !s.r.spec.ChunkedInput || q.framing == sized && most > 0 && q.length >= most
}

// pursue has nodes tried until the request is over. keep: the connection can serve another one.
func (s *session) pursue(q *request) (keep bool) {
	for {
		up, err := q.attempt.Next(!q.safe)
		if err != nil {
			s.refuse(unreached(err))
			return false
		}
		outcome, err := s.try(up, q)
		if over, keep := s.settle(up, q, outcome, err); over {
			return keep
		}
	}
}

// conclude is settle, and another try where that is what follows.
func (s *session) conclude(up *relay.Upstream, q *request, outcome outcome, err error) (keep bool) {
	if over, keep := s.settle(up, q, outcome, err); over {
		return keep
	}
	return s.pursue(q)
}

// settle draws the conclusions from what has become of the request at a node. over: no other one is to be tried.
func (s *session) settle(up *relay.Upstream, q *request, outcome outcome, err error) (over, keep bool) {
	switch {
	case outcome == answered && err != nil: // in mid-answer
		s.logFailure(q.attempt.Key(), err)
	case outcome == answered && q.keep && q.whole:
		return true, true
	case outcome == answered:
		if !q.whole || len(s.unread) > 0 { // the client may be sending still
			s.client.Linger()
		}
	case outcome == again && (up.Reused || up.Greeted()):
		q.attempt.Again(up)
		return false, false
	case outcome == again:
		q.attempt.Broken(up, err)
		return false, false
	case outcome == left:
	default:
		s.logFailure(q.attempt.Key(), err)
		s.refuse(badAnswer(err))
	}
	return true, false
}

// unreached is the answer when no node takes a request.
func unreached(err error) *http.Error {
	switch {
	case errors.Is(err, relay.ErrNoNode):
		return http.Refusal(503, err.Error())
	case errors.Is(err, relay.ErrTooSlow):
		return http.Refusal(504, err.Error())
	}
	return http.Refusal(502, err.Error())
}

// badAnswer is the answer when a node took a request and has not answered it.
func badAnswer(err error) *http.Error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.Refusal(504, err.Error())
	}
	return http.Refusal(502, err.Error())
}

func (s *session) logFailure(key string, err error) {
	if !s.r.up.Spec.Quiet {
		s.r.up.Logf("[uwsgi-http key: %s client_addr: %s client_port: %s] no answer of the node: %v", logtext.Safe(key), s.RemoteAddr, s.RemotePort, err)
	}
}

// describe finds out how the request's body comes, and whether it may be let in.
func (s *session) describe() (*request, *http.Error) {
	h := &s.head
	var refusal *http.Error
	if errors.As(h.Belongs(&s.Conn), &refusal) {
		return nil, refusal
	}
	method := string(h.Method)
	q := &request{keep: s.Socket.KeepAlive && h.Persistent(), isHead: method == "HEAD"}
	switch {
	case method == "SOURCE" && s.r.spec.Source:
		q.framing, q.keep = endless, false
	case h.Websocket():
		q.framing, q.keep = websocket, false
	case h.Chunked:
		q.framing = chunked
	case h.ContentLength > 0:
		q.framing, q.length = sized, h.ContentLength
	case h.ContentLength < 0 && s.r.spec.RawBody:
		q.framing, q.keep = endless, false
	}
	most := s.r.up.Spec.LimitPost
	if expected := s.r.spec.ManageExpect; h.Continue && expected > 0 && (most == 0 || expected < most) {
		most = expected
	}
	if most > 0 && q.length > most {
		return nil, http.Refusal(413, "the body is larger than it may be")
	}
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE": // RFC 9110, 9.2.2
		q.safe = q.framing == noBody
	}
	q.left, q.whole = q.length, q.framing == noBody
	return q, nil
}

// keepBody takes the whole body in before a node is troubled. A refusal with status 0: the client has gone.
func (s *session) keepBody(q *request) *http.Error {
	q.body = s.r.spool.Keep()
	err := s.sayContinue()
	if err == nil {
		err = s.readBody(q, q.body)
	}
	switch {
	case err == nil:
		q.framing, q.left, q.whole = kept, 0, true
		if s.head.Chunked {
			s.head.Measured(q.body.Size)
		}
		return nil
	case errors.Is(err, relay.ErrTooLarge):
		err = http.Refusal(413, err.Error())
	case errors.Is(err, relay.ErrNoRoom):
		err = http.Refusal(503, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = http.Refusal(408, "the body did not come in time")
	}
	q.body.Close()
	var refusal *http.Error
	if errors.As(err, &refusal) {
		return refusal
	}
	if !isClientError(err) {
		s.r.up.Logf("[uwsgi-http] %v", err)
		return http.Refusal(500, err.Error())
	}
	return http.Refusal(0, err.Error())
}

func isClientError(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// readBody passes the body on as it comes: decoded to a kept one, else as it is.
func (s *session) readBody(q *request, to io.Writer) error {
	timeout := s.r.up.Timeout()
	b, free := relay.Buffer()
	defer free()
	var decoder http.Chunks
	var plain []byte
	data := s.unread
	for {
		used, over := len(data), false
		out := data
		switch q.framing {
		case sized:
			used = int(min(int64(len(data)), q.left))
			out = data[:used]
			q.left -= int64(used)
			over = q.left == 0
		case chunked:
			var err error
			if plain, used, err = decoder.Decode(plain[:0], data); err != nil {
				return err
			}
			out, over = plain, decoder.Done()
			if s.r.spec.ChunkedInput {
				out = data[:used]
			}
		}
		if len(out) > 0 {
			if _, err := to.Write(out); err != nil {
				return err
			}
		}
		if over {
			s.next = append(s.next[:0], data[used:]...) // data may be in b, which is given back; the head is in s.in
			s.unread = s.next
			return nil
		}
		rest := copy(b, data[used:])
		n, err := s.client.ReadFor(b[rest:], timeout)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		data = b[:rest+n]
	}
}

// sayContinue answers a client that waits with its body.
func (s *session) sayContinue() error {
	if !s.head.Continue || s.head.Minor == 0 {
		return nil
	}
	s.head.Continue = false
	s.client.WriteTimeout(s.r.up.Timeout())
	_, err := s.client.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}
