package worker

import (
	"bufio"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTestTunnel is a tunnel whose other end is served by serve, which gets each request and writes the answer.
func newTestTunnel(t *testing.T, serve func(r *nethttp.Request, out io.Writer)) *tunnel {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	inner, outer := os.NewFile(uintptr(pair[0]), "inner"), os.NewFile(uintptr(pair[1]), "outer")
	one := &tunnel{file: outer, reader: bufio.NewReader(outer), over: make(chan struct{})}
	go func() { // ends with the tunnel
		defer close(one.over)
		defer inner.Close()
		reader := bufio.NewReader(inner)
		for {
			r, err := nethttp.ReadRequest(reader)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			serve(r, inner)
		}
	}()
	return one
}

// recorder is a response writer with what those of HTTP/2 can do.
type recorder struct{ *httptest.ResponseRecorder }

func (r recorder) WriteHeader(status int) {
	if status >= 200 { // httptest takes others for the last
		r.ResponseRecorder.WriteHeader(status)
	}
}

func (recorder) SetWriteDeadline(time.Time) error { return nil }

func askStream(t *testing.T, h *http2Conn, method, path, body string) recorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	out := recorder{httptest.NewRecorder()}
	h.carry(out, r)
	return out
}

func echoRequest(r *nethttp.Request, out io.Writer) {
	body, _ := io.ReadAll(r.Body)
	text := r.Method + " " + r.URL.Path + " " + string(body)
	_, _ = io.WriteString(out, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(text))+"\r\n\r\n"+text)
}

func TestTunnelsServeManyStreams(t *testing.T) {
	one := newTestTunnel(t, echoRequest)
	h := &http2Conn{tunnel: &listener{send: time.Second}, idle: []*tunnel{one}}
	for _, body := range []string{"", "body", ""} {
		if out := askStream(t, h, "POST", "/x", body); out.Code != 200 || out.Body.String() != "POST /x "+body {
			t.Fatalf("%d %q", out.Code, out.Body)
		}
		if len(h.idle) != 1 || h.idle[0] != one {
			t.Fatal("the tunnel is not kept")
		}
	}
	h.closed = true
	if askStream(t, h, "GET", "/", ""); len(h.idle) != 0 {
		t.Fatal("a tunnel is kept whose connection has ended")
	}
	<-one.over
}

func TestTunnelsThatHaveEndedAreReplaced(t *testing.T) {
	stale := newTestTunnel(t, echoRequest)
	stale.used = true
	half, err := stale.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = half.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) }) // the other end reads that, and closes
	<-stale.over
	fresh := newTestTunnel(t, echoRequest)
	h := &http2Conn{tunnel: &listener{send: time.Second}, idle: []*tunnel{fresh, stale}}
	if out := askStream(t, h, "GET", "/again", ""); out.Code != 200 || out.Body.String() != "GET /again " {
		t.Fatalf("%d %q", out.Code, out.Body)
	}
}

func TestTunnelsOfResponsesThatCloseAreNotKept(t *testing.T) {
	one := newTestTunnel(t, func(_ *nethttp.Request, out io.Writer) {
		_, _ = io.WriteString(out, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	})
	h := &http2Conn{tunnel: &listener{send: time.Second}, idle: []*tunnel{one}}
	if out := askStream(t, h, "GET", "/", ""); out.Body.String() != "ok" || len(h.idle) != 0 {
		t.Fatalf("%q, %d kept", out.Body, len(h.idle))
	}
	<-one.over
}

func TestRequestsThatHTTP1CannotSay(t *testing.T) {
	for _, change := range []func(*nethttp.Request){
		func(r *nethttp.Request) { r.Method = "CONNECT" },
		func(r *nethttp.Request) { r.Method = "GET /x" },
		func(r *nethttp.Request) { r.RequestURI = "/ HTTP/1.1\r\nX: y" },
		func(r *nethttp.Request) { r.Host = "a\r\nX: y" },
		func(r *nethttp.Request) { r.Header["X\r\nY"] = []string{"z"} },
		func(r *nethttp.Request) { r.Header["X"] = []string{"a\r\nY: z"} },
	} {
		r := httptest.NewRequest("GET", "/", nil)
		change(r)
		if sayable(r) {
			t.Errorf("%q %q %q %q", r.Method, r.RequestURI, r.Host, r.Header)
		}
	}
}
