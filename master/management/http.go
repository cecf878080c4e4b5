package management

import (
	"context"
	"net"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"
)

// What one client of a port may take.
const (
	requestTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 3 * time.Minute // more than the usual time between two scrapes
	maxConnections = 256
	maxHead        = 16 << 10 // bytes
	maxBody        = 64 << 10
)

// Page answers requests for one path by GET or HEAD. ctx ends when the server closes; a page that waits
// for the master has to return then. It is called on any goroutine.
type Page func(ctx context.Context, request *fasthttp.RequestCtx)

// HTTP makes a service of pages, by their paths. form is that of the Service.
func HTTP(title string, form any, pages map[string]Page, logf func(format string, args ...any)) Service {
	s := site{title, pages, logf}
	return Service{Title: title, Form: form, Logf: logf, Open: s.open}
}

type site struct {
	title string
	pages map[string]Page
	logf  func(format string, args ...any)
}

func (s site) open(ctx context.Context) func(net.Conn) {
	server := &fasthttp.Server{
		Handler:     func(request *fasthttp.RequestCtx) { s.serve(ctx, request) },
		ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		Concurrency: maxConnections, ReadBufferSize: maxHead, MaxRequestBodySize: maxBody,
		NoDefaultServerHeader: true, NoDefaultContentType: true, Logger: s,
		ConnState: func(conn net.Conn, state fasthttp.ConnState) {
			if one, is := conn.(*connection); is && (state == fasthttp.StateIdle || state == fasthttp.StateActive) {
				one.wait(state == fasthttp.StateIdle)
			}
		},
	}
	return func(conn net.Conn) {
		_ = server.ServeConn(conn) // the client's loss
	}
}

func (s site) serve(ctx context.Context, request *fasthttp.RequestCtx) {
	defer func() { // a fault of a page is not to end the instance
		if fault := recover(); fault != nil {
			s.Printf("%s: %v\n%s", request.Path(), fault, debug.Stack())
			request.Error("the page has failed; the log says why\n", fasthttp.StatusInternalServerError)
		}
	}()
	page := s.pages[string(request.Path())]
	switch {
	case page == nil:
		request.Error("there is no such page\n", fasthttp.StatusNotFound)
	case !request.IsGet() && !request.IsHead():
		request.Error("only GET and HEAD are answered\n", fasthttp.StatusMethodNotAllowed)
		request.Response.Header.Set("Allow", "GET, HEAD")
	default:
		page(ctx, request)
	}
	if ctx.Err() != nil { // the page may have given up
		_ = request.Conn().Close()
	}
}

// Printf logs the library's complaints.
func (s site) Printf(format string, args ...any) { s.logf(s.title+": "+format, args...) }
