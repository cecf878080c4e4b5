// Package fastrouter is a router's front for the uwsgi protocol: it passes packets on to nodes of that protocol, chosen
// by the host that a packet names.
package fastrouter

import (
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"envoxyd/internal/logtext"
	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// keyVars are the variables that may name the key, the first one that is there counts.
var keyVars = []string{"UWSGI_FASTROUTER_KEY", "HTTP_HOST", "SERVER_NAME"}

// Router serves clients of the uwsgi protocol, such as nginx.
type Router struct {
	up    *relay.Upstreams
	spool *relay.Spool
}

// New makes the router.
func New(up *relay.Upstreams) *Router { return &Router{up, relay.NewSpool(&up.Spec)} }

// request is one packet and what belongs to it.
type request struct {
	packet []byte // header and variables
	early  []byte // what has come of the body with them

	key, client, method string
	length              int64 // CONTENT_LENGTH; -1: it is not said
	open                bool  // bytes may come until the connection ends: chunks, a websocket
	body                *relay.Kept
}

// Serve serves one connection: one request.
func (r *Router) Serve(client *stream.Conn) {
	defer client.Close()
	q, err := r.receive(client)
	if err != nil || q == nil {
		return // uWSGI's clients expect no answer to what is no packet
	}
	if most := r.up.Spec.PostBuffering; most > 0 && q.length >= most {
		if !r.keepBody(client, q) {
			return
		}
		defer q.body.Close()
	}
	attempt := r.up.Attempt(q.key, q.client)
	for {
		up, err := attempt.Next(true)
		if err != nil {
			r.refuse(client, unreached(err))
			return
		}
		begun, err := r.try(client, up, q)
		switch {
		case begun || err == nil:
			return
		case isReset(err) && q.repeatable():
			attempt.Broken(up, err)
			continue
		}
		if !r.up.Spec.Quiet {
			r.up.Logf("[uwsgi-%s key: %s client_addr: %s] no answer of the node: %v", r.up.Kind, logtext.Safe(q.key), logtext.Safe(q.client), err)
		}
		status := 502
		if errors.Is(err, os.ErrDeadlineExceeded) {
			status = 504
		}
		r.refuse(client, http.Refusal(status, err.Error()))
		return
	}
}

// repeatable: the whole request is here, and a second time does no harm (RFC 9110, 9.2.2).
func (q *request) repeatable() bool {
	switch q.method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return !q.open && q.length <= 0
	}
	return false
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
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

func (r *Router) refuse(client *stream.Conn, e *http.Error) {
	client.WriteTimeout(r.up.Timeout())
	if _, err := client.Write([]byte(e.StatusText())); err == nil {
		client.Linger()
	}
}

// receive reads a packet; nil without an error: nothing came.
func (r *Router) receive(client *stream.Conn) (*request, error) {
	client.ReadTimeout(r.up.Timeout())
	if client.WaitReadable() != nil { // without memory for it yet
		return nil, nil
	}
	data := make([]byte, 0, 4096)
	for {
		if len(data) >= uwsgi.HeaderSize {
			if size := uwsgi.HeaderSize + uwsgi.ParseHeader(data).Size; len(data) >= size {
				q := &request{packet: data[:size:size], early: data[size:], length: -1}
				return q, q.read()
			} else if cap(data) < size {
				data = append(make([]byte, 0, size), data...)
			}
		}
		n, err := client.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if n == 0 {
			return nil, err
		}
	}
}

// read looks for what the router has to know in the variables.
func (q *request) read() error {
	found := len(keyVars)
	for rest := q.packet[uwsgi.HeaderSize:]; len(rest) > 0; {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return err
		}
		rest = more
		for i, name := range keyVars[:found] {
			if string(key) == name && len(value) > 0 {
				q.key, found = string(value), i
				break
			}
		}
		switch string(key) {
		case "REMOTE_ADDR":
			q.client = string(value)
		case "REQUEST_METHOD":
			q.method = string(value)
		case "CONTENT_LENGTH":
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
				q.length = n
			}
		case "HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE":
			q.open = q.open || len(value) > 0
		}
	}
	q.open = q.open && q.length < 0
	return nil
}

// keepBody takes the whole body in before a node is troubled.
func (r *Router) keepBody(client *stream.Conn, q *request) bool {
	q.body = r.spool.Keep()
	b, free := relay.Buffer()
	defer free()
	data := q.early
	for {
		data = data[:min(int64(len(data)), q.length-q.body.Size)]
		if _, err := q.body.Write(data); err != nil {
			q.body.Close()
			status := 500
			switch {
			case errors.Is(err, relay.ErrTooLarge):
				status = 413
			case errors.Is(err, relay.ErrNoRoom):
				status = 503
			default:
				r.up.Logf("[uwsgi-%s] %v", r.up.Kind, err)
			}
			r.refuse(client, http.Refusal(status, err.Error()))
			return false
		}
		if q.body.Size >= q.length {
			q.early = nil
			return true
		}
		n, err := client.ReadFor(b, r.up.Timeout())
		if n == 0 || err != nil {
			q.body.Close()
			return false
		}
		data = b[:n]
	}
}

// try has one node answer. begun: the client has got something.
func (r *Router) try(client *stream.Conn, up *relay.Upstream, q *request) (begun bool, err error) {
	defer up.Close()
	h := uwsgi.ParseHeader(q.packet)
	if up.Modifier1 > 0 || up.Modifier2 > 0 {
		h.Modifier1, h.Modifier2 = up.Modifier1, up.Modifier2
		uwsgi.AppendHeader(q.packet[:0], h)
	}
	timeout := r.up.Timeout()
	up.WriteTimeout(timeout)
	first := append(q.packet, q.early...) // the packet's capacity is its size
	n, err := up.Write(first)
	up.Received += uint64(n)
	if err != nil && n == 0 {
		return false, err
	}
	var activity relay.Activity
	var sending sync.WaitGroup
	var more int64
	sends := q.body != nil || q.open || q.length > int64(len(q.early))
	if sends {
		activity.Note()
		sending.Go(func() { more = r.sendBody(client, up, q, &activity) })
	}
	begun, err = r.passOn(client, up, sends, &activity)
	if sends {
		client.Wake()
		up.Wake()
		_ = up.Conn.Close()
		sending.Wait()
		up.Received += uint64(more)
	}
	return begun, err
}

// sendBody sends what has not come with the variables, until the node has closed the connection.
func (r *Router) sendBody(client *stream.Conn, up *relay.Upstream, q *request, activity *relay.Activity) (n int64) {
	if q.body != nil {
		n, _ = io.Copy(up.Conn, q.body.Reader()) // who reads the answer sees what is wrong
		return n
	}
	n, err := relay.Copy(up.Conn, client, r.up.Timeout(), activity)
	if err == nil { // the client sends nothing more
		up.CloseWrite()
	} else if isReset(err) {
		up.Wake()
	}
	return n
}

// passOn passes the answer on until the node ends it.
func (r *Router) passOn(client *stream.Conn, up *relay.Upstream, sends bool, activity *relay.Activity) (begun bool, err error) {
	b, free := relay.Buffer()
	defer free()
	timeout := r.up.Timeout()
	for {
		n, err := up.ReadFor(b, timeout)
		if n == 0 {
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded) && sends && activity.Within(timeout):
				continue
			case errors.Is(err, io.EOF) && !begun:
				return false, io.ErrUnexpectedEOF
			case errors.Is(err, io.EOF):
				return true, nil
			case begun: // the client is to see that there should be more
				client.Reset()
			}
			return begun, err
		}
		if !begun {
			up.Answered()
		}
		begun = true
		up.Sent += uint64(n)
		activity.Note()
		client.WriteTimeout(timeout)
		if _, err := client.Write(b[:n]); err != nil {
			return true, err
		}
	}
}
