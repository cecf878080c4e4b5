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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A connection of HTTP/2 is net/http's. Each of its streams is a request over a tunnel: a socket pair, one end
// of which is a connection of the reactor's like any other, where HTTP/1.1 is spoken. So all that holds for requests holds for
// these, and tunnels are kept for later streams.

const (
	http2Streams = 128            // that a client may have at once
	http2Frame   = 64 << 10       // the largest that is read
	http2Head    = 64 << 10       // of a request, at least: net/http ends the connection where we answer 431
	tunnelIdle   = 24 * time.Hour // its owner ends it
	tunnelsKept  = 32             // of each connection, at most: each is two descriptors
	tunnelPiece  = 32 << 10       // of a body, in bytes
	goodbyeTime  = time.Second    // that a client has to close a connection that comes too late
)

// tooLate is a server's preface without settings, and GOAWAY: no stream has been looked at (RFC 9113, 3.4 and 6.8).
var tooLate = []byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00")

var tunnelPieces = sync.Pool{New: func() any { return new([tunnelPiece]byte) }}

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

// http2Writer is what net/http's response writers of HTTP/2 can do.
type http2Writer interface {
	nethttp.Flusher
	SetWriteDeadline(time.Time) error
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
	one := &http2Conn{w: w, cn: cn, stream: stream, tunnel: h.tunnel}
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

	mu     sync.Mutex
	idle   []*tunnel
	closed bool
}

// tunnel is the outer end of a socket pair. It belongs to one stream at a time.
type tunnel struct {
	file   *os.File
	reader *bufio.Reader
	head   []byte        // room for a request's
	over   chan struct{} // closed when the other end is
	used   bool          // there was a request on it before
	cut    atomic.Bool   // the request's body has ended too early
}

func (h *http2Conn) newTunnel() (*tunnel, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	inner := &conn{fd: pair[0], listener: h.tunnel, index: -1, forks: forks(), over: over}
	inner.Conn = h.cn.Conn
	inner.Socket, inner.ProxyHeader, inner.Protocol = &h.tunnel.socket, 0, "HTTP/2.0"
	h.w.ready.put(&request{conn: inner, idle: true})
	file := os.NewFile(uintptr(pair[1]), "HTTP/2 stream")
	return &tunnel{file: file, reader: bufio.NewReader(file), over: over}, nil
}

// end closes the tunnel and waits until the worker has, too. A client that resets streams faster than they are served has
// no more of them under way than it may have streams.
func (t *tunnel) end() {
	_ = t.file.Close()
	<-t.over
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
	if sent != nil {
		select {
		case err = <-sent:
			wanted = err == nil
		default: // not all of it was
		}
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

// sendBody sends the request's body as HTTP/1.1 has it. If it does not come as a whole the worker is told by the tunnel's end.
func (t *tunnel) sendBody(r *nethttp.Request) error {
	piece := tunnelPieces.Get().(*[tunnelPiece]byte)
	defer tunnelPieces.Put(piece)
	var frame []byte
	for {
		n, err := r.Body.Read(piece[:])
		data := piece[:n]
		if r.ContentLength < 0 && n > 0 {
			frame = append(strconv.AppendInt(frame[:0], int64(n), 16), "\r\n"...)
			frame = append(append(frame, data...), "\r\n"...)
			data = frame
		}
		if n > 0 {
			if _, err := t.file.Write(data); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			t.cut.Store(true)
			shutdown(t.file, unix.SHUT_WR)
			return err
		case r.ContentLength < 0:
			_, err = t.file.Write([]byte("0\r\n\r\n"))
			return err
		default:
			return nil
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

// carry passes the body on, as it comes. False: it was cut off, or its client has not taken any of it for the time of patience.
func (t *tunnel) carry(out nethttp.ResponseWriter, response *nethttp.Response, patience time.Duration) bool {
	defer response.Body.Close()
	writer := out.(http2Writer)
	out.WriteHeader(response.StatusCode)
	piece := tunnelPieces.Get().(*[tunnelPiece]byte)
	defer tunnelPieces.Put(piece)
	left := response.ContentLength // -1: nobody knows it
	if response.Body == nethttp.NoBody {
		left = 0
	}
	var stalled *time.Timer
	for left != 0 {
		n, err := response.Body.Read(piece[:])
		last := errors.Is(err, io.EOF) || int64(n) == left
		left -= int64(n)
		if stalled == nil && !last {
			stalled = time.AfterFunc(patience, func() { _ = writer.SetWriteDeadline(time.Now()) })
			defer stalled.Stop()
		} else if stalled != nil {
			stalled.Reset(patience)
		}
		if n > 0 {
			if _, err := out.Write(piece[:n]); err != nil {
				return false
			}
		}
		if last {
			break
		}
		if err != nil {
			return false
		}
		if t.reader.Buffered() == 0 {
			writer.Flush()
		}
		stalled.Stop()
	}
	_ = writer.SetWriteDeadline(time.Now().Add(patience)) // for what is written when the stream's handler has ended
	for name, values := range response.Trailer {
		for _, value := range values {
			out.Header().Add(nethttp.TrailerPrefix+name, value)
		}
	}
	return true
}

// sayable tells whether HTTP/1.1 has words for the request's head.
func sayable(r *nethttp.Request) bool {
	if r.Method == nethttp.MethodConnect || !plainText(r.Method) || !plainText(r.RequestURI) || !plainText(r.Host) {
		return false
	}
	for name, values := range r.Header {
		if !plainText(name) {
			return false
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				return false
			}
		}
	}
	return true
}

// appendHTTP1 appends the request's head in the words of HTTP/1.1.
func appendHTTP1(b []byte, r *nethttp.Request) []byte {
	b = append(append(append(append(b, r.Method...), ' '), r.RequestURI...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.Host...), "\r\n"...)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Transfer-Encoding", "Content-Length", "Host", "Keep-Alive", "Upgrade", "Proxy-Connection", "Expect":
			continue
		}
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	switch {
	case r.ContentLength > 0:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...)
}

// plainText tells whether a word may stand in a request line: no blanks, no control characters.
func plainText(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) < 0
}
