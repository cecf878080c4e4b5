package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A connection of HTTP/2 is net/http's. Each of its streams is a request over a tunnel: a socket pair, one end
// of which is a connection of the reactor's like any other, where HTTP/1.1 is spoken. So all that holds for requests holds for
// these, and tunnels are kept for later streams.

const (
	http2Streams = 128            // that a client may have at once
	http2Frame   = 64 << 10       // the largest that is read
	tunnelIdle   = 24 * time.Hour // its owner ends it
	tunnelPiece  = 32 << 10       // of a body, in bytes
)

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
	tunnel.socket.KeepAlive = true
	tunnel.idle = tunnelIdle
	h := &http2Server{tunnel: &tunnel, handed: make(chan net.Conn), closed: make(chan struct{}), conns: map[net.Conn]*http2Conn{}}
	protocols := new(nethttp.Protocols)
	protocols.SetHTTP2(true)
	h.server = &nethttp.Server{
		Handler: h, MaxHeaderBytes: w.spec.Limits.BufferSize, IdleTimeout: l.idle, ErrorLog: log.New(io.Discard, "", 0), Protocols: protocols,
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
	one := &http2Conn{w: w, cn: cn, stream: stream, tunnel: h.tunnel}
	w.carrying.Add(1)
	h.mu.Lock()
	h.conns[cn.tls.conn] = one
	h.mu.Unlock()
	select {
	case h.handed <- cn.tls.conn:
	case <-h.closed:
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

	mu     sync.Mutex
	idle   []*tunnel
	closed bool
}

// tunnel is the outer end of a socket pair.
type tunnel struct {
	file   *os.File
	reader *bufio.Reader
	used   bool // there was a request on it before
}

func (h *http2Conn) newTunnel() (*tunnel, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	inner := &conn{fd: pair[0], listener: h.tunnel, index: -1, forks: forks()}
	inner.Conn = h.cn.Conn
	inner.Socket, inner.ProxyHeader, inner.Protocol = &h.tunnel.socket, 0, "HTTP/2.0"
	h.w.ready.put(&request{conn: inner, idle: true})
	file := os.NewFile(uintptr(pair[1]), "HTTP/2 stream")
	return &tunnel{file: file, reader: bufio.NewReader(file)}, nil
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
	if h.closed {
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
	head, ok := http1Head(r)
	if !ok {
		out.WriteHeader(nethttp.StatusBadRequest)
		return
	}
	for {
		t, err := h.take()
		if err != nil {
			h.w.logLimited(&h.w.limits.receive, "HTTP/2: %v", err)
			out.WriteHeader(nethttp.StatusServiceUnavailable)
			return
		}
		again := h.exchange(t, head, out, r)
		if !again {
			return
		}
	}
}

// errStale is a kept tunnel whose other end is gone.
var errStale = errors.New("the tunnel has ended")

// exchange sends the request and carries the response. again: nothing of it has been seen by anybody.
func (h *http2Conn) exchange(t *tunnel, head []byte, out nethttp.ResponseWriter, r *nethttp.Request) (again bool) {
	left := context.AfterFunc(r.Context(), func() { _ = t.file.SetDeadline(time.Now()) }) // the client has given the stream up
	defer left()
	_, err := t.file.Write(head)
	sent := make(chan error, 1)
	if r.ContentLength == 0 {
		sent <- nil
	} else {
		go func() { sent <- t.sendBody(r) }() // ends with the tunnel or the stream
	}
	var response *nethttp.Response
	if err == nil {
		response, err = t.response(out, r)
	}
	if err != nil {
		_ = t.file.Close()
		if t.used && errors.Is(err, errStale) && r.ContentLength == 0 {
			return true
		}
		if r.Context().Err() == nil {
			out.WriteHeader(nethttp.StatusBadGateway)
		}
		return false
	}
	whole := t.carry(out, response)
	if !whole {
		_ = t.file.Close()
		panic(nethttp.ErrAbortHandler) // the stream is reset: the client must not take it for whole
	}
	select {
	case err = <-sent:
	default:
		err = errors.New("the request's body was not wanted")
	}
	if err != nil || response.Close || t.reader.Buffered() > 0 {
		_ = t.file.Close()
		return false
	}
	h.give(t)
	return false
}

// sendBody sends the request's body as HTTP/1.1 has it.
func (t *tunnel) sendBody(r *nethttp.Request) error {
	piece := make([]byte, tunnelPiece)
	if r.ContentLength > 0 {
		_, err := io.CopyBuffer(struct{ io.Writer }{t.file}, struct{ io.Reader }{r.Body}, piece)
		return err
	}
	for {
		n, err := r.Body.Read(piece)
		if n > 0 {
			chunk := append(strconv.AppendInt(nil, int64(n), 16), "\r\n"...)
			chunk = append(append(chunk, piece[:n]...), "\r\n"...)
			if _, err := t.file.Write(chunk); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			_, err = t.file.Write([]byte("0\r\n\r\n"))
			return err
		}
		if err != nil {
			return err
		}
	}
}

// response reads the head of the response; informational ones before it are passed on.
func (t *tunnel) response(out nethttp.ResponseWriter, r *nethttp.Request) (*nethttp.Response, error) {
	for {
		if _, err := t.reader.Peek(1); err != nil {
			return nil, fmt.Errorf("%w: %w", errStale, err)
		}
		response, err := nethttp.ReadResponse(t.reader, r)
		if err != nil {
			return nil, err
		}
		copyHeader(out.Header(), response.Header)
		if response.StatusCode >= 200 {
			return response, nil
		}
		if response.StatusCode == nethttp.StatusSwitchingProtocols {
			return nil, errors.New("HTTP/2 does not switch protocols")
		}
		out.WriteHeader(response.StatusCode)
		clear(out.Header())
	}
}

func copyHeader(to, from nethttp.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection":
		default:
			to[name] = values
		}
	}
	for _, name := range []string{"Date", "Content-Type"} { // what the application has not said nobody says
		if _, said := to[name]; !said {
			to[name] = nil
		}
	}
}

// carry passes the body on, as it comes. False: it was cut off.
func (t *tunnel) carry(out nethttp.ResponseWriter, response *nethttp.Response) bool {
	defer response.Body.Close()
	out.WriteHeader(response.StatusCode)
	piece := make([]byte, tunnelPiece)
	flusher, _ := out.(nethttp.Flusher)
	for {
		n, err := response.Body.Read(piece)
		if n > 0 {
			if _, err := out.Write(piece[:n]); err != nil {
				return false
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false
		}
		if t.reader.Buffered() == 0 && flusher != nil {
			flusher.Flush()
		}
	}
	for name, values := range response.Trailer {
		for _, value := range values {
			out.Header().Add(nethttp.TrailerPrefix+name, value)
		}
	}
	return true
}

// http1Head is the request's head in the words of HTTP/1.1. False: it cannot be said in them.
func http1Head(r *nethttp.Request) ([]byte, bool) {
	if r.Method == nethttp.MethodConnect || !plainText(r.Method) || !plainText(r.RequestURI) || !plainText(r.Host) {
		return nil, false
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Host)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Transfer-Encoding", "Content-Length", "Host", "Keep-Alive", "Upgrade", "Proxy-Connection", "Expect":
			continue
		}
		for _, value := range values {
			if strings.ContainsAny(name+value, "\r\n\x00") {
				return nil, false
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	switch {
	case r.ContentLength > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", r.ContentLength)
	case r.ContentLength < 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), true
}

// plainText tells whether a word may stand in a request line: no blanks, no control characters.
func plainText(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) < 0
}
