package worker

import (
	"crypto/tls"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/tlsconfig"
	"envoxyd/internal/tlsspec"
	"envoxyd/transports/http"
)

// handshakeTime is what a client has for the handshake, at most.
const handshakeTime = 30 * time.Second

// alpn are the names of what may be agreed on (RFC 7301).
const (
	alpnHTTP2  = "h2"
	alpnHTTP11 = "http/1.1"
)

// newTLS prepares a listener for clients that speak TLS.
func (l *listener) newTLS(w *Worker, spec *tlsspec.Socket) error {
	var protocols []string
	if l.transport.Refuses { // it is HTTP
		protocols = []string{alpnHTTP11}
		if spec.HTTP2 {
			protocols = []string{alpnHTTP2, alpnHTTP11}
		}
	}
	store, err := tlsconfig.New(spec, w.vault, protocols, w.logf)
	if err != nil {
		return err
	}
	if l.transport.Refuses {
		l.guard = store.Guard
	}
	l.tls, l.exportCert, l.verbose = store.Config(), spec.ExportCert, spec.Verbose
	if len(protocols) > 1 {
		l.http2 = newHTTP2Server(w, l)
	}
	reserveDescriptors()
	return nil
}

// reserveDescriptors has the kernel make the table of descriptors large before there are connections. When many come at once
// it would do so again and again, which takes it long (synchronize_rcu) while handshakes, a thread each, wait for descriptors.
func reserveDescriptors() {
	const most = 4096
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	if fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, int(min(limit.Cur, most))-1); err == nil { // an error leaves it as it is
		_ = unix.Close(fd)
	}
}

// shakeHands gives a new connection to a goroutine, which gives it back when it can be read from.
func (r *reactor) shakeHands(cn *conn) {
	r.release(cn)
	w := r.w
	w.receiving.Add(1)
	go func() { // ends by handshakeTime
		defer w.receiving.Add(-1)
		stream, err := duplicate(cn.fd)
		if err != nil {
			w.logLimited(&w.limits.receive, "TLS: %v", err)
			cn.close()
			return
		}
		if err := w.handshake(cn, stream); err != nil {
			if cn.listener.verbose {
				w.logf("TLS handshake with %s: %v", cn.RemoteAddr, err)
			}
			_ = stream.Close()
			cn.close()
			return
		}
		if cn.tls.conn.ConnectionState().NegotiatedProtocol == alpnHTTP2 {
			w.serveHTTP2(cn, stream)
			return
		}
		cn.tls.wire.stream = nil
		_ = stream.Close()
		cn.again = true // the first request may have come along
		w.ready.put(&request{conn: cn, idle: true})
	}()
}

// handshake makes the connection one of TLS. Its variables are the connection's from then on.
func (w *Worker) handshake(cn *conn, stream *os.File) error {
	l := cn.listener
	s := cn.tls
	s.wire = wire{fd: cn.fd, stream: stream, timeout: l.send}
	limit := time.Now().Add(min(l.head, handshakeTime))
	if err := stream.SetReadDeadline(limit); err != nil {
		return err
	}
	if err := w.readProxy(cn, stream); err != nil {
		return err
	}
	s.conn = tls.Server(&s.wire, l.tls)
	if err := s.conn.Handshake(); err != nil {
		return err
	}
	s.ready = true
	state := s.conn.ConnectionState()
	if l.guard != nil {
		cn.Misdirected = l.guard(state.ServerName)
	}
	cn.Vars = tlsconfig.AppendVariables(cn.Vars, &state, l.exportCert)
	return stream.SetReadDeadline(time.Time{})
}

// readProxy reads the PROXY header, which comes before TLS.
func (w *Worker) readProxy(cn *conn, stream *os.File) error {
	if !cn.listener.proxy {
		return nil
	}
	cn.ProxyHeader = 0
	var data []byte
	for {
		piece := make([]byte, 4096)
		n, err := stream.Read(piece)
		if err != nil {
			return err
		}
		data = append(data, piece[:n]...)
		size, addresses, err := http.ProxyHeader(data)
		if err != nil {
			return err
		}
		if size >= 0 {
			addresses.Apply(&cn.Conn)
			cn.tls.wire.before = data[size:]
			return nil
		}
	}
}
