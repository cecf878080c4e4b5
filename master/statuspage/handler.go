package statuspage

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

//go:embed index.html
var document []byte

// writeTimeout is how long a viewer may take for one event.
const writeTimeout = 15 * time.Second

// policy lets the page do what it does itself, and nothing else.
var policy = strings.Join([]string{
	"default-src 'none'", "script-src " + hashOf("script"), "style-src " + hashOf("style"), "connect-src 'self'", "img-src data:",
	"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
}, "; ")

// hashOf is what the document's only element of that name holds, as a policy names it.
func hashOf(element string) string {
	_, rest, _ := strings.Cut(string(document), "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Document answers with the page.
func (p *Page) Document(_ context.Context, r *fasthttp.RequestCtx) {
	if !admit(r) {
		return
	}
	head := &r.Response.Header
	head.SetContentType("text/html; charset=utf-8")
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Frame-Options", "DENY")
	r.Response.SetBodyRaw(document)
}

// Events answers with the stream of events.
func (p *Page) Events(ctx context.Context, r *fasthttp.RequestCtx) {
	if !admit(r) {
		return
	}
	if site := string(r.Request.Header.Peek("Sec-Fetch-Site")); site != "" && site != "same-origin" && site != "none" {
		refuse(r, fasthttp.StatusForbidden, "another site's page may not ask")
		return
	}
	r.Response.Header.SetContentType("text/event-stream")
	r.Response.Header.Set("X-Accel-Buffering", "no") // for an nginx in front
	if r.IsHead() {
		return
	}
	if !p.enter() {
		r.Response.Header.Set("Retry-After", "10")
		refuse(r, fasthttp.StatusServiceUnavailable, "too many are looking already")
		return
	}
	r.SetConnectionClose()
	conn := r.Conn()
	r.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer p.leave()
		p.stream(ctx, w, conn)
	})
}

// stream writes events until the viewer has gone or ctx ends.
func (p *Page) stream(ctx context.Context, w *bufio.Writer, conn net.Conn) {
	var shown *frame
	for {
		f := p.frame(ctx, shown)
		if f == nil {
			return
		}
		if shown == nil || f.number != shown.number+1 {
			_, _ = w.Write(p.historyEvent(f)) // Flush returns the error
		}
		_, _ = w.Write(f.event())
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // fails only where writing does
		if w.Flush() != nil {
			return
		}
		shown = f
	}
}

// historyEvent is the event "history" with the points up to the frame's.
func (p *Page) historyEvent(f *frame) []byte {
	p.mu.Lock()
	points := p.history.until(f.number)
	p.mu.Unlock()
	text, err := json.Marshal(columnsOf(points))
	if err != nil { // numbers: it cannot be
		text = []byte("{}")
	}
	return append(append([]byte("event: history\ndata: "), text...), "\n\n"...)
}

// admit sets the headers of all answers, and refuses requests to another host than this machine where only this machine
// is served: names that others have led here (DNS rebinding).
func admit(r *fasthttp.RequestCtx) bool {
	for _, header := range [][2]string{
		{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"}, {"Cross-Origin-Opener-Policy", "same-origin"},
	} {
		r.Response.Header.Set(header[0], header[1])
	}
	if local, is := r.LocalAddr().(*net.TCPAddr); is && local.IP.IsLoopback() && !isThisMachine(string(r.Host())) {
		refuse(r, fasthttp.StatusMisdirectedRequest, "the Host header has to be localhost or a loopback address here")
		return false
	}
	return true
}

// isThisMachine tells whether a Host header can only mean the machine that the browser is on, whatever DNS says.
func isThisMachine(host string) bool {
	name := host
	if bare, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = bare
	} else if inner, begins := strings.CutPrefix(host, "["); begins {
		var ends bool
		if name, ends = strings.CutSuffix(inner, "]"); !ends {
			return false
		}
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Zone() == "" && address.Unmap().IsLoopback()
}

func refuse(r *fasthttp.RequestCtx, status int, reason string) {
	r.Response.Header.SetContentType("text/plain; charset=utf-8")
	r.SetStatusCode(status)
	r.SetBodyString(reason + "\n")
}
