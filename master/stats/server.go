package stats

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"envoxyd/master/management"
)

// clientTimeout bounds what one client of the statistics may take.
const clientTimeout = 4 * time.Second

// ServerForm is how the statistics are served.
type ServerForm struct {
	JSONForm
	HTTP bool // a request is read, and headers stand before the document
}

// Service answers each connection with the JSON document.
func Service(host Host, form ServerForm) management.Service {
	return management.Service{Title: "Stats server", Form: form, Logf: host.Logf, Open: func(ctx context.Context) func(net.Conn) {
		s := &server{host: host, form: form, ctx: ctx}
		if form.HTTP {
			s.http = s.newHTTP()
		}
		return s.answer
	}}
}

// server answers on one socket.
type server struct {
	host Host
	form ServerForm
	http *fasthttp.Server // nil: the document stands alone
	ctx  context.Context  // ends when the socket is not served any more
}

// answer writes the statistics.
func (s *server) answer(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(clientTimeout)) // a connection that is gone fails at its first use
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
