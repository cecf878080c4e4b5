package worker

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
	"envoxyd/transports/fastcgi"
	"envoxyd/transports/http"
	"envoxyd/transports/scgi"
	uwsgitransport "envoxyd/transports/uwsgi"
)

// protocols is which transport serves which protocol of a socket, and what its responses look like.
var protocols = map[string]struct {
	transport *transports.Transport
	flags     uint32
}{
	"uwsgi":         {&uwsgitransport.Transport, 0},
	"puwsgi":        {&uwsgitransport.Persistent, 0},
	"fastcgi":       {&fastcgi.Transport, reqStatus},
	"fastcgi-nph":   {&fastcgi.Transport, 0},
	"scgi":          {&scgi.Transport, reqStatus},
	"scgi-nph":      {&scgi.Transport, 0},
	"http":          {&http.Transport, 0},
	"http11":        {&http.Transport, 0},
	"http-router":   {&http.Transport, 0},
	"http-to-https": {&http.ToHTTPS, 0},
}

// headTime bounds how long a whole request head may take, even if it never pauses; --http has an option for it.
const headTime = 60 * time.Second

// listener is a listening socket and what is the same for all its connections.
type listener struct {
	fd         int
	index      int
	name       string
	transport  *transports.Transport
	kind       int // which of a parser's receivers is for it
	socket     transports.Socket
	modifier1  byte   // of every request; 0: what the protocol says
	flags      uint32 // of every request, where the client speaks HTTP/1.1
	always     uint32 // of every request
	event      bool   // deliveries of the gateway's, for the service's event handlers
	tcp        bool   // not a unix socket
	mapped     bool   // only some workers serve it
	proxy      bool   // connections begin with a PROXY header
	idle       time.Duration
	timeout    time.Duration // of each read, and of each write unless that has its own
	send       time.Duration // of each write
	head       time.Duration // of a request's whole head
	pages      errorPages    // for its own answers
	tls        *tls.Config   // nil: it is spoken in the clear
	http2      *http2Server  // nil: it is not offered
	exportCert bool          // requests have the client's certificate
	verbose    bool          // failed handshakes are logged
	tally      *shm.Tally    // of what comes by it; nil: it is not counted
	answer     time.Duration // of the application until its response begins; 0: it may take for ever

	// guard is of tlsconfig.Store; nil: hosts of requests are not looked at.
	guard func(serverName string) func(host []byte) (misdirected bool)
}

func newListener(w *Worker, index int, socket workerspec.Socket) (*listener, error) {
	protocol, known := protocols[socket.Protocol]
	if !known {
		return nil, fmt.Errorf("socket %s: the protocol %q is not there yet", socket.Name, socket.Protocol)
	}
	l := &listener{fd: socket.FD, index: index, name: socket.Name, tally: w.socketTally(&socket), transport: protocol.transport, kind: index, always: protocol.flags,
		tcp: !socket.Unix, mapped: len(socket.Workers) > 0, timeout: w.socketTimeout(), head: headTime, pages: w.spec.ErrorPages, modifier1: socket.Modifier1}
	l.socket = transports.Socket{Modifiers: w.spec.Limits.Modifiers, CGI: w.spec.CGI != nil, Limit: w.spec.Limits.BufferSize, ServerName: w.hostname, Port: socket.Port, NoScript: w.spec.HTTP.ManageScript, KeepSlash: w.spec.HTTP.KeepSlashes}
	if !socket.Unix && w.spec.HTTP.NoDelay && socket.Protocol != "uwsgi" { // one response, mostly one write
		_ = unix.SetsockoptInt(l.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // connections inherit it
	}
	l.idle = l.timeout
	switch socket.Protocol {
	case "uwsgi":
		l.socket.KeepAlive = !l.mapped && socket.TLS == nil && w.spec.Loop == nil // what waits for a busy worker can be passed on
	case "http", "http11":
		l.socket.KeepAlive = true
		l.proxy = w.spec.HTTP.ProxyProtocol
	case "http-router", "http-to-https":
		if err := l.asRouter(&w.spec.HTTP); err != nil {
			return nil, err
		}
	}
	l.send = l.timeout
	if own := w.spec.Limits.SendTimeoutMillis; own > 0 && !l.socket.Router {
		l.send = time.Duration(own) * time.Millisecond
	}
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return nil, fmt.Errorf("socket %s: %w", socket.Name, err)
	}
	if socket.TLS != nil {
		if err := l.newTLS(w, socket.TLS); err != nil {
			return nil, fmt.Errorf("socket %s: %w", socket.Name, err)
		}
	}
	return l, nil
}

// asRouter applies the options of --http.
func (l *listener) asRouter(options *workerspec.HTTP) error {
	l.socket.Router = true
	l.socket.HostName = options.ServerNameHost
	l.proxy = options.RouterProxy
	l.timeout = time.Duration(options.TimeoutMillis) * time.Millisecond
	l.idle, l.answer = l.timeout, l.timeout
	if own := options.HeadMillis; own > 0 {
		l.head = time.Duration(own) * time.Millisecond
	}
	if options.KeepaliveMillis > 0 {
		l.socket.KeepAlive = true
		l.idle = time.Duration(options.KeepaliveMillis) * time.Millisecond
		l.flags = reqSayClose
		if options.AutoChunked {
			l.flags |= reqChunk
		}
	}
	for _, pair := range options.Vars {
		name, value, _ := strings.Cut(pair, "=")
		if !uwsgi.Fits(len(name)) || !uwsgi.Fits(len(value)) {
			return fmt.Errorf("http-var %.20s...: %w", name, uwsgi.ErrTooLong)
		}
		l.socket.Extra = uwsgi.AppendVar(l.socket.Extra, name, value)
	}
	return nil
}

// connectionFlags is what an HTTP client is told about its connection.
func (l *listener) connectionFlags(http10, keep bool) uint32 {
	switch {
	case http10 && keep:
		return reqSayKeep
	case http10:
		return 0
	case keep:
		return l.flags
	}
	return l.flags&^reqChunk | reqCloses
}
