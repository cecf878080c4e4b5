package management

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// listen opens a unix socket; servers get a descriptor of it.
func listen(t *testing.T) (address Listener, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); listener.Close() })
	return Listener{FD: int(file.Fd()), Name: path}, path
}

// client is a connection over which requests are sent.
type client struct {
	t *testing.T
	net.Conn
	from *bufio.Reader
}

func dial(t *testing.T, path string) *client {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) send(method, path string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive(method string) (*http.Response, string) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.from, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer, string(text)
}

// ended waits until the server has closed the connection.
func (c *client) ended() {
	c.t.Helper()
	if text, err := io.ReadAll(c.from); len(text) > 0 {
		c.t.Errorf("after the end: %q, %v", text, err)
	}
}

// log collects lines.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) logf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func text(body string) Page {
	return func(_ context.Context, request *fasthttp.RequestCtx) { request.SetBodyString(body) }
}

func TestPages(t *testing.T) {
	var said log
	address, path := listen(t)
	var servers Servers
	defer servers.Close()
	servers.Replace([]Listener{address}, HTTP("test server", nil, map[string]Page{
		"/":      text("root"),
		"/page":  text("page"),
		"/fault": func(context.Context, *fasthttp.RequestCtx) { panic("a fault") },
	}, said.logf))
	if want := fmt.Sprintf("*** test server enabled on %s fd: %d ***\n", address.Name, address.FD); said.String() != want {
		t.Errorf("%q, want %q", said.String(), want)
	}
	client := dial(t, path) // one connection for all
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, "root"},
		{"GET", "/page?x=1", 200, "page"},
		{"HEAD", "/page", 200, ""},
		{"GET", "/other", 404, "there is no such page\n"},
		{"POST", "/page", 405, "only GET and HEAD are answered\n"},
		{"GET", "/fault", 500, "the page has failed; the log says why\n"},
		{"GET", "/page", 200, "page"},
	} {
		client.send(c.method, c.path)
		answer, body := client.receive(c.method)
		if answer.StatusCode != c.status || body != c.body || answer.Header.Get("Server") != "" {
			t.Errorf("%s %s: %d, %q, %v", c.method, c.path, answer.StatusCode, body, answer.Header)
		}
		if allow := answer.Header.Get("Allow"); (allow == "GET, HEAD") != (c.status == 405) {
			t.Errorf("%s %s: Allow: %q", c.method, c.path, allow)
		}
	}
	if !strings.Contains(said.String(), "test server: /fault: a fault") {
		t.Error(said.String())
	}
}

func TestRetiredServersAnswerWhatIsInHand(t *testing.T) {
	address, path := listen(t)
	asked, proceed := make(chan struct{}), make(chan struct{})
	var servers Servers
	defer servers.Close()
	servers.Replace([]Listener{address}, HTTP("test server", nil, map[string]Page{
		"/": text("root"),
		"/slow": func(ctx context.Context, request *fasthttp.RequestCtx) {
			close(asked)
			select {
			case <-proceed:
				request.SetBodyString("slow")
			case <-ctx.Done():
			}
		},
	}, t.Logf))
	idle, busy := dial(t, path), dial(t, path)
	idle.send("GET", "/")
	idle.receive("GET")
	busy.send("GET", "/slow")
	<-asked
	servers.Retire()
	idle.ended()
	queued := dial(t, path) // waits for whoever accepts next
	queued.send("GET", "/")
	close(proceed)
	if _, body := busy.receive("GET"); body != "slow" {
		t.Errorf("a request in hand was answered by %q", body)
	}
	busy.ended()
	var next Servers
	defer next.Close()
	next.Replace([]Listener{address}, HTTP("test server", nil, map[string]Page{"/": text("next")}, t.Logf))
	if _, body := queued.receive("GET"); body != "next" {
		t.Errorf("%q", body)
	}
}

func TestCloseCutsConnections(t *testing.T) {
	address, path := listen(t)
	asked := make(chan struct{})
	var servers Servers
	servers.Replace([]Listener{address}, HTTP("test server", nil, map[string]Page{
		"/": func(ctx context.Context, _ *fasthttp.RequestCtx) { close(asked); <-ctx.Done() },
	}, t.Logf))
	silent, waiting := dial(t, path), dial(t, path)
	waiting.send("GET", "/")
	<-asked
	servers.Retire()
	servers.Close() // also of retired ones
	silent.ended()
	waiting.ended()
}

func TestServersGoOnWhereNothingChanges(t *testing.T) {
	first, _ := listen(t)
	second, path := listen(t)
	var servers Servers
	t.Cleanup(servers.Close)
	service := func(form any) Service {
		return Service{Title: "test server", Form: form, Logf: t.Logf, Open: func(context.Context) func(net.Conn) { return func(net.Conn) {} }}
	}
	servers.Replace([]Listener{first, second}, service(1))
	kept := servers.all[1]
	servers.Replace([]Listener{second}, service(1))
	if len(servers.all) != 1 || servers.all[0] != kept {
		t.Errorf("servers %v, want the one of before", servers.all)
	}
	servers.Replace([]Listener{second}, service(2))
	if len(servers.all) != 1 || servers.all[0] == kept || servers.all[0].service.Form != 2 {
		t.Errorf("servers %v, want one of another form", servers.all)
	}
	servers.Replace(nil, service(2))
	if len(servers.all) != 0 {
		t.Errorf("servers %v are left", servers.all)
	}
	dial(t, path) // the socket still listens, and its file is there
}
