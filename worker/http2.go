package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	nethttp "net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// A connection of HTTP/2 is a goroutine's (x/net/http2). Each of its streams is a request over a tunnel: a socket pair, one end
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
	server *http2.Server
	base   *nethttp.Server
	tunnel *listener // of the tunnels' ends
}

func newHTTP2Server(w *Worker, l *listener) (*http2Server, error) {
	tunnel := *l
	tunnel.tls, tunnel.http2, tunnel.proxy = nil, nil, false
	tunnel.kind = len(w.spec.Sockets) + 1 + l.index
	tunnel.flags = reqSayClose | reqChunk
	tunnel.socket.KeepAlive = true
	tunnel.idle = tunnelIdle
	h := &http2Server{tunnel: &tunnel}
	h.base = &nethttp.Server{MaxHeaderBytes: w.spec.Limits.BufferSize, ErrorLog: log.New(io.Discard, "", 0)}
	h.server = &http2.Server{MaxConcurrentStreams: http2Streams, MaxReadFrameSize: http2Frame, IdleTimeout: l.idle, WriteByteTimeout: l.send}
	if err := http2.ConfigureServer(h.base, h.server); err != nil {
		return nil, fmt.Errorf("http2: %w", err)
	}
	return h, nil
}

// serveHTTP2 serves a connection whose client has agreed on HTTP/2, which is the caller's until then.
func (w *Worker) serveHTTP2(cn *conn, stream *os.File) {
	l := cn.listener
	w.carrying.Add(1)
	go func() { // ends with the connection; Stop tells its client to open another
		defer w.carrying.Add(-1)
		h := &http2Conn{w: w, cn: cn, tunnel: l.http2.tunnel}
		l.http2.server.ServeConn(cn.tls.conn, &http2.ServeConnOpts{BaseConfig: l.http2.base, Handler: h})
		h.close()
		cn.tls.wire.stream = nil
		_ = stream.Close()
		cn.close()
	}()
}

// endHTTP2 has the connections end when the streams that there are have ended.
func (w *Worker) endHTTP2() {
	for _, l := range w.listeners {
		if l.http2 != nil {
			_ = l.http2.base.Shutdown(context.Background()) // it has no listeners: it only tells
		}
	}
}

// http2Conn is one connection with its tunnels.
type http2Conn struct {
	w      *Worker
	cn     *conn
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
}

// ServeHTTP carries one stream.
func (h *http2Conn) ServeHTTP(out nethttp.ResponseWriter, r *nethttp.Request) {
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
