package stats

import "github.com/valyala/fasthttp"

// newHTTP is what reads a request and writes headers. The document is the answer to whatever is
// asked, by whatever method, also to what is not quite HTTP: uWSGI's is. Time is bounded by answer.
func (s *server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:          s.answerHTTP,
		ErrorHandler:     func(ctx *fasthttp.RequestCtx, _ error) { s.answerHTTP(ctx) },
		DisableKeepalive: true, NoDefaultServerHeader: true, NoDefaultDate: true,
		Logger: logger{s.host},
	}
}

func (s *server) answerHTTP(ctx *fasthttp.RequestCtx) {
	document := s.document()
	if document == nil {
		_ = ctx.Conn().Close() // or headers without a document would be sent
		return
	}
	head := &ctx.Response.Header
	head.SetProtocol([]byte("HTTP/1.0"))
	head.SetContentType("application/json")
	head.Set("Access-Control-Allow-Origin", "*")
	ctx.SetConnectionClose()
	ctx.Response.SetBodyRaw(document)
}

// logger is where the library's complaints go.
type logger struct{ host Host }

// Printf logs a line.
func (l logger) Printf(format string, args ...any) { l.host.Logf("stats server: "+format, args...) }
