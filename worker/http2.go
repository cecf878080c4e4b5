package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A connection of HTTP/2 is net/http's. Each of its streams is a request over a tunnel: a socket pair, one end
// of which is a connection of the reactor's like any other, where HTTP/1.1 is spoken. So all that holds for requests holds for
// these, and tunnels are kept for later streams. A request without a body needs no socket pair, unless its response does
// (memorystream.go).

const (
	http2Streams = 128            // that a client may have at once
	http2Frame   = 64 << 10       // the largest that is read
	http2Head    = 64 << 10       // of a request, at least: net/http ends the connection where we answer 431
	tunnelIdle   = 24 * time.Hour // its owner ends it
	tunnelsKept  = 32             // of each connection, at most: each is two descriptors
	goodbyeTime  = time.Second    // that a client has to close a connection that comes too late
)

// tooLate is a server's preface without settings, and GOAWAY: no stream has been looked at (RFC 9113, 3.4 and 6.8).
var tooLate = []byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00")

// http2Server is what the connections of a listener have in common.
type http2Server struct {
	server *nethttp.Server
	tunnel *listener // of the tunnels' ends

	handed chan net.Conn // connections that have agreed on HTTP/2, for the server
	closed chan struct{} // no more are taken
	once   sync.Once     // closes closed
	mu     sync.Mutex
	conns  map[net.Conn]*http2Conn
}

// connKey is where a request's context has its connection.
type connKey struct{}

func newHTTP2Server(w *Worker, l *listener) *http2Server {
	tunnel := *l
	tunnel.tls, tunnel.http2, tunnel.proxy = nil, nil, false
	tunnel.kind = len(w.spec.Sockets) + 1 + l.index
	tunnel.flags = reqSayClose | reqChunk
	tunnel.mapped = true // another worker does not know the client's certificate
	tunnel.socket.KeepAlive = true
	tunnel.idle = tunnelIdle
	h := &http2Server{tunnel: &tunnel, handed: make(chan net.Conn), closed: make(chan struct{}), conns: map[net.Conn]*http2Conn{}}
	protocols := new(nethttp.Protocols)
	protocols.SetHTTP2(true)
	h.server = &nethttp.Server{
		Handler: h, MaxHeaderBytes: max(http2Head, 2*w.spec.Limits.BufferSize), IdleTimeout: l.idle, ErrorLog: log.New(io.Discard, "", 0), Protocols: protocols,
		HTTP2: &nethttp.HTTP2Config{MaxConcurrentStreams: http2Streams, MaxReadFrameSize: http2Frame, WriteByteTimeout: l.send},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, h.of(c))
		},
		ConnState: func(c net.Conn, state nethttp.ConnState) {
			if state == nethttp.StateClosed {
				h.end(c)
			}
		},
	}
	go func() { _ = h.server.Serve(h) }() // ends with Shutdown, or the process
	return h
}

// Accept implements net.Listener.
func (h *http2Server) Accept() (net.Conn, error) {
	select {
	case c := <-h.handed:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *http2Server) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *http2Server) Addr() net.Addr { return noAddr{} }

// ServeHTTP carries one stream.
func (h *http2Server) ServeHTTP(out nethttp.ResponseWriter, r *nethttp.Request) {
	r.Context().Value(connKey{}).(*http2Conn).carry(out, r)
}

func (h *http2Server) of(c net.Conn) *http2Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[c]
}

// end is called when the server has closed a connection.
func (h *http2Server) end(c net.Conn) {
	h.mu.Lock()
	one := h.conns[c]
	delete(h.conns, c)
	h.mu.Unlock()
	if one != nil {
		one.close()
	}
}

// serveHTTP2 gives the server a connection whose client has agreed on HTTP/2, which is the caller's until then.
func (w *Worker) serveHTTP2(cn *conn, stream *os.File) {
	h := cn.listener.http2
	one := &http2Conn{w: w, cn: cn, stream: stream, tunnel: h.tunnel, inMemory: !w.reactor.looped}
	w.carrying.Add(1)
	h.mu.Lock()
	h.conns[cn.tls.conn] = one
	h.mu.Unlock()
	select {
	case h.handed <- cn.tls.conn:
	case <-h.closed: // the worker leaves: told so, the client asks another
		if _, err := cn.tls.conn.Write(tooLate); err == nil {
			_ = cn.tls.conn.CloseWrite()
			_ = stream.SetReadDeadline(time.Now().Add(goodbyeTime))
			_, _ = io.Copy(io.Discard, stream)
		}
		h.end(cn.tls.conn)
	}
}

// endHTTP2 has the connections end when the streams that there are have ended: their clients open others.
func (w *Worker) endHTTP2() {
	for _, l := range w.listeners {
		if l.http2 != nil {
			go func() { _ = l.http2.server.Shutdown(context.Background()) }() // ends with the last connection, or the process
		}
	}
}

// http2Conn is one connection with its tunnels.
type http2Conn struct {
	w      *Worker
	cn     *conn
	stream *os.File // a second descriptor of the client's connection
	tunnel *listener

	inMemory bool // requests without a body need no descriptor; a loop wants one to watch

	mu     sync.Mutex
	idle   []*tunnel
	closed bool
}

func (h *http2Conn) newTunnel() (*tunnel, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	inner := h.inner(pair[0])
	over := inner.over // the connection is the reactor's own from put on
	h.w.ready.put(&request{conn: inner, idle: true})
	file := os.NewFile(uintptr(pair[1]), "HTTP/2 stream")
	return &tunnel{file: file, reader: bufio.NewReader(file), over: over}, nil
}

// inner is a connection of the reactor's that serves streams.
func (h *http2Conn) inner(fd int) *conn {
	inner := &conn{fd: fd, listener: h.tunnel, index: -1, forks: forks(), over: make(chan struct{})}
	inner.Conn = h.cn.Conn
	inner.Socket, inner.ProxyHeader, inner.Protocol = &h.tunnel.socket, 0, "HTTP/2.0"
	return inner
}

func (h *http2Conn) take() (*tunnel, error) {
	h.mu.Lock()
	if n := len(h.idle); n > 0 {
		t := h.idle[n-1]
		h.idle = h.idle[:n-1]
		h.mu.Unlock()
		return t, nil
	}
	h.mu.Unlock()
	return h.newTunnel()
}

func (h *http2Conn) give(t *tunnel) {
	t.used = true
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.idle) >= tunnelsKept {
		_ = t.file.Close()
		return
	}
	h.idle = append(h.idle, t)
}

func (h *http2Conn) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, t := range h.idle {
		_ = t.file.Close()
	}
	h.idle = nil
	h.cn.tls.ready = false // its end was told by the server
	_ = h.stream.Close()
	h.cn.close()
	h.w.carrying.Add(-1)
}

// carry carries one stream.
func (h *http2Conn) carry(out nethttp.ResponseWriter, r *nethttp.Request) {
	if !sayable(r) {
		out.WriteHeader(nethttp.StatusBadRequest)
		return
	}
	if h.inMemory && r.ContentLength == 0 {
		h.carryInMemory(out, r)
		return
	}
	for {
		t, err := h.take()
		if err != nil {
			h.w.logLimited(&h.w.limits.receive, "HTTP/2: %v", err)
			out.WriteHeader(nethttp.StatusServiceUnavailable)
			return
		}
		if again := h.exchange(t, out, r); !again {
			return
		}
	}
}

// errStale is a tunnel whose other end is gone.
var errStale = errors.New("the tunnel has ended")

// exchange sends the request and carries the response. again: the tunnel was an old one, and nobody has seen any of it.
func (h *http2Conn) exchange(t *tunnel, out nethttp.ResponseWriter, r *nethttp.Request) (again bool) {
	attached := context.AfterFunc(r.Context(), func() { _ = t.file.SetDeadline(time.Now()) }) // the client may give the stream up
	t.head = appendHTTP1(t.head[:0], r)
	var sent chan error
	var response *nethttp.Response
	_, err := t.file.Write(t.head)
	if err != nil {
		err = fmt.Errorf("%w: %w", errStale, err)
	} else {
		if r.ContentLength != 0 {
			sent = make(chan error, 1)
			t.read.Store(false)
			go func() { sent <- t.sendBody(r) }() // ends with the tunnel or the stream
		}
		response, err = t.response(out, r)
	}
	if err != nil {
		attached()
		t.end()
		switch {
		case r.Context().Err() != nil:
		case t.used && errors.Is(err, errStale) && r.ContentLength == 0:
			return true
		case t.cut.Load():
			out.WriteHeader(nethttp.StatusBadRequest)
		default:
			out.WriteHeader(nethttp.StatusBadGateway)
		}
		return false
	}
	if whole := t.carry(out, response, h.tunnel.send); !whole {
		attached()
		t.end()
		panic(nethttp.ErrAbortHandler) // the stream is reset: the client must not take it for whole
	}
	wanted := sent == nil
	if sent != nil && t.read.Load() { // else the worker has answered without all of it
		wanted = <-sent == nil
	}
	switch {
	case !attached(): // its deadline has passed
		t.end()
	case !wanted || response.Close || t.reader.Buffered() > 0:
		_ = t.file.Close()
	default:
		h.give(t)
	}
	return false
}

// carryInMemory carries a stream whose request has no body.
func (h *http2Conn) carryInMemory(out nethttp.ResponseWriter, r *nethttp.Request) {
	inner := h.inner(-1)
	m, over := newMemoryStream(), inner.over // as in newTunnel
	inner.memory = m
	defer m.leave()
	h.w.ready.put(&request{conn: inner, text: appendHTTP1(nil, r)})
	reader := streamReaders.Get().(*bufio.Reader)
	defer streamReaders.Put(reader)
	reader.Reset(readFunc(func(room []byte) (int, error) { return m.read(r.Context(), room) }))
	t := &tunnel{reader: reader}
	response, err := t.response(out, r)
	switch {
	case err != nil && r.Context().Err() == nil:
		out.WriteHeader(nethttp.StatusBadGateway)
	case err != nil:
		m.leave()
		<-over // as tunnel.end has it
	case !t.carry(out, response, h.tunnel.send):
		m.leave()
		<-over
		panic(nethttp.ErrAbortHandler) // the stream is reset: the client must not take it for whole
	}
}

// streamReaders are readers of streams in memory.
var streamReaders = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// readFunc is a reader by its method.
type readFunc func(room []byte) (int, error)

// Read implements io.Reader.
func (f readFunc) Read(room []byte) (int, error) { return f(room) }
