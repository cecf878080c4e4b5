package httprouter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// fakeNode speaks uwsgi, or HTTP, as the test wants it.
type fakeNode struct {
	address string
	mu      sync.Mutex
	seen    []string
}

// requests are what has come.
func (n *fakeNode) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.seen...)
}

// serve has a node do something with each connection, and close it.
func serve(t *testing.T, do func(n int, c *net.TCPConn, note func(string))) *fakeNode {
	var count atomic.Int64
	return serveAll(t, func(c *net.TCPConn, note func(string)) {
		if !answersPing(c) {
			do(int(count.Add(1)-1), c, note)
		}
	})
}

// serveAll is serve with the connections by which nodes are asked whether they keep any.
func serveAll(t *testing.T, do func(c *net.TCPConn, note func(string))) *fakeNode {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	node := &fakeNode{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				do(c.(*net.TCPConn), func(text string) {
					node.mu.Lock()
					defer node.mu.Unlock()
					node.seen = append(node.seen, text)
				})
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return node
}

// answersPing answers a ping as uWSGI does; false: it is something else.
func answersPing(c *net.TCPConn) bool {
	if !beginsWithPing(c) {
		return false
	}
	_, _ = c.Write([]byte{uwsgi.ModifierPing, 0, 0, uwsgi.PingAnswer})
	return true
}

func beginsWithPing(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var first [1]byte
	_ = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		return !errors.Is(err, unix.EAGAIN)
	})
	return first[0] == uwsgi.ModifierPing
}

// packet reads a uwsgi packet: its variables.
func packet(c io.Reader) map[string]string {
	head := make([]byte, uwsgi.HeaderSize)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil
	}
	block := make([]byte, uwsgi.ParseHeader(head).Size)
	if _, err := io.ReadFull(c, block); err != nil {
		return nil
	}
	vars := map[string]string{"modifiers": fmt.Sprint(head[0], head[3])}
	for len(block) > 0 {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			return nil
		}
		vars[string(key)], block = string(value), rest
	}
	return vars
}

// talk has a new router serve what a client sends, and returns all that it answers.
func talk(t *testing.T, text string, more func(*routerspec.Spec)) string {
	t.Helper()
	return talkTo(t, newRouter(t, more), text)
}

// testRouter is one, and the news that a connection has ended.
type testRouter struct {
	*Router
	ended chan struct{}
}

// newRouter makes one. more: what is changed of the usual specification.
func newRouter(t *testing.T, more func(*routerspec.Spec)) *testRouter {
	t.Helper()
	spec := &routerspec.Spec{Kind: routerspec.KindHTTP, Fronts: []routerspec.Socket{{Port: "80"}}}
	spec.Routing = routerspec.Routing{TimeoutMillis: 5000, ConnectMillis: 5000, GraceMillis: 30000, MaxRetries: 3, BufferDir: t.TempDir()}
	spec.HTTP.KeepaliveMillis = 5000
	more(spec)
	up := relay.New(spec.Kind, spec.Routing, t.Logf)
	t.Cleanup(up.CloseKept)
	r, err := New(up, spec)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 64)
	if err := r.Start(Host{Ended: func() { ended <- struct{}{} }, Fault: func(fault any) { t.Error(fault) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return &testRouter{r, ended}
}

// talkTo is talk with a router that is there.
func talkTo(t *testing.T, r *testRouter, text string) string {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, err := stream.New(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := unix.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	r.Take(fds[1], &routerspec.Socket{Port: "80"}, netip.MustParseAddrPort("192.0.2.1:4567"))
	if _, err := client.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	client.CloseWrite()
	client.ReadTimeout(20 * time.Second)
	answer, _ := io.ReadAll(client) // a reset is an end, too
	<-r.ended
	return string(answer)
}

func to(nodes ...*fakeNode) func(*routerspec.Spec) {
	return func(spec *routerspec.Spec) {
		for _, n := range nodes {
			spec.Routing.To = append(spec.Routing.To, n.address)
		}
	}
}

// answers is a node that reads a packet and a body of its length, and answers so.
func answers(t *testing.T, answer string) *fakeNode {
	return serve(t, func(_ int, c *net.TCPConn, note func(string)) {
		vars := packet(c)
		var size int
		_, _ = fmt.Sscan(vars["CONTENT_LENGTH"], &size)
		body := make([]byte, size)
		if _, err := io.ReadFull(c, body); err == nil {
			note(vars["REQUEST_METHOD"] + " " + vars["REQUEST_URI"] + " " + string(body))
		}
		_, _ = io.WriteString(c, answer)
	})
}

// breaks is a node that resets the connection.
func breaks(t *testing.T) *fakeNode {
	return serve(t, func(_ int, c *net.TCPConn, note func(string)) {
		note(packet(c)["REQUEST_METHOD"])
		_ = c.SetLinger(0)
	})
}

func TestAnotherNodeGetsWhatDoesNoHarmTwice(t *testing.T) {
	for _, c := range []struct {
		request string
		again   bool
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true},
		{"DELETE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true},
		{"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
		{"PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", false}, // its body has gone
	} {
		bad, good := breaks(t), answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		got := talk(t, c.request, to(bad, good))
		if again := strings.HasPrefix(got, "HTTP/1.1 200 "); again != c.again || !again && !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%.6q: %.40q", c.request, got)
		}
		if n := len(good.requests()); n != map[bool]int{true: 1}[c.again] {
			t.Errorf("%.6q: the other node has got %d", c.request, n)
		}
	}
}

// A node that ends the connection in good order may have done what it was asked for.
func TestANodeThatAnswersNothingIsNotAskedTwice(t *testing.T) {
	silent := answers(t, "")
	if got := talk(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", to(silent, silent)); !strings.HasPrefix(got, "HTTP/1.1 502 ") || len(silent.requests()) != 1 {
		t.Errorf("%.40q after %v", got, silent.requests())
	}
}

func TestAnswersReachTheClientAsItsProtocolWants(t *testing.T) {
	const one, zero = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
	for _, c := range []struct {
		name, request, answer, want string
		more                        func(*routerspec.Spec)
	}{
		{"a length", one, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", nil},
		{"none", one, "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", nil},
		{"none, in chunks", one, "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", func(s *routerspec.Spec) { s.HTTP.AutoChunked = true }},
		{"chunks", one, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil},
		{"chunks for HTTP/1.0", zero, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello", nil},
		{"said to close", one, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", nil},
		{"304", one, "HTTP/1.1 304 Not Modified\r\n\r\nbody", "HTTP/1.1 304 Not Modified\r\n\r\n", nil},
		{"an early hint", one, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", nil},
		{"an early hint for HTTP/1.0", zero, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", nil},
		{"kept with HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", nil},
		{"without keep-alive", one, "HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 200 OK\r\n\r\nok", func(s *routerspec.Spec) { s.HTTP.KeepaliveMillis = 0 }},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", nil},
		{"a switch nobody asked for", one, "HTTP/1.1 101 Switching Protocols\r\n\r\nframes", "HTTP/1.1 502 ", nil},
		{"no HTTP", one, "no HTTP", "HTTP/1.1 502 ", nil},
		{"a line that is forged", one, "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: x\r\n\r\n", "HTTP/1.1 502 ", nil},
	} {
		node := answers(t, c.answer)
		got := talk(t, c.request, func(spec *routerspec.Spec) {
			to(node)(spec)
			if c.more != nil {
				c.more(spec)
			}
		})
		if strings.HasSuffix(c.want, " ") && !strings.HasPrefix(got, c.want) || !strings.HasSuffix(c.want, " ") && got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRequestsThatComeTogetherAreServedInOrder(t *testing.T) {
	node := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	text := "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
		"POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n"
	if got := talk(t, text, to(node)); strings.Count(got, "HTTP/1.1 200 OK") != 4 {
		t.Errorf("%q", got)
	}
	if got, want := strings.Join(node.requests(), ","), "GET /1 ,POST /2 abc,POST /3 def,GET /4 "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestABodyThatDoesNotComeWholeGoesToNobodyAsAWhole(t *testing.T) {
	for _, c := range []struct {
		name, text string
		more       func(*routerspec.Spec)
	}{
		{"cut chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", nil},
		{"cut", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhel", nil},
		{"cut and kept", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhel", func(s *routerspec.Spec) { s.Routing.PostBuffering = 1 }},
		{"bad chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", nil},
		{"too large", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789", func(s *routerspec.Spec) { s.Routing.LimitPost = 9 }},
		{"too large in chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", func(s *routerspec.Spec) { s.Routing.LimitPost = 9 }},
	} {
		node := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		got := talk(t, c.text, func(spec *routerspec.Spec) {
			to(node)(spec)
			if c.more != nil {
				c.more(spec)
			}
		})
		if strings.Contains(got, "200 OK") && c.name != "cut" || len(node.requests()) > 0 {
			t.Errorf("%s: %q, the node has %q", c.name, got, node.requests())
		}
	}
}

// What a node says of a connection is not the client's business, and the other way round.
func TestNodesOfHTTP(t *testing.T) {
	node := serve(t, func(_ int, c *net.TCPConn, note func(string)) {
		data := make([]byte, 0, 4096)
		for {
			n, err := c.Read(data[len(data):cap(data)])
			if err != nil {
				return
			}
			if data = data[:len(data)+n]; bytes.HasSuffix(data, []byte("\r\n\r\n")) {
				note(string(data))
				data = data[:0]
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	})
	request := "GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n"
	got := talk(t, request+request, func(spec *routerspec.Spec) {
		to(node)(spec)
		spec.HTTP.BackendHTTP = true
	})
	if want := strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.5, 192.0.2.1\r\n\r\n"
	if seen := node.requests(); len(seen) != 2 || seen[0] != want || seen[1] != want {
		t.Errorf("%q, want %q", seen, want)
	}
}

func TestVariablesOfTheRouter(t *testing.T) {
	var mu sync.Mutex
	var vars map[string]string
	node := serve(t, func(_ int, c *net.TCPConn, _ func(string)) {
		got := packet(c)
		mu.Lock()
		vars = got
		mu.Unlock()
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	talk(t, "GET / HTTP/1.1\r\nHost: h\r\nProxy: evil\r\n\r\n", func(spec *routerspec.Spec) {
		to(node)(spec)
		spec.HTTP.Modifier1, spec.HTTP.Modifier2, spec.HTTP.Vars = 5, 6, []string{"A=b=c"}
	})
	mu.Lock()
	defer mu.Unlock()
	for name, want := range map[string]string{"modifiers": "5 6", "A": "b=c", "UWSGI_ROUTER": "http", "REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4567", "HTTP_HOST": "h", "HTTP_PROXY": ""} {
		if vars[name] != want {
			t.Errorf("%s is %q, want %q", name, vars[name], want)
		}
	}
}

const greeting = "\x64\x00\x00K"

// granting is how a node answers the question whether it keeps connections: with a greeting of its own or as a ping, or
// not at all.
func granting(c *net.TCPConn, answer string) (asked bool) {
	if !beginsWithPing(c) {
		return false
	}
	var start [len(greeting)]byte
	if _, err := io.ReadFull(c, start[:]); err == nil {
		_, _ = io.WriteString(c, answer)
	}
	return true
}

// answerPackets answers requests with their numbers on the connection, for as many of them as are given.
func answerPackets(c *net.TCPConn, most int, note func(string)) {
	for n := range most {
		vars := packet(c)
		if vars == nil {
			return
		}
		note(vars["PATH_INFO"])
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n+1)
	}
}

// Whether a node keeps connections is found out beside the requests; whatever it does later costs no request, and each
// comes to it once.
func TestConnectionsToNodesThatKeepThem(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string // to the greeting, after the first
		most   int    // requests of a connection that is kept
	}{
		{"for long", greeting, 100},
		{"for two requests", greeting, 2},
		{"no longer", "\x64\x00\x00\x01", 0},
		{"and break them now", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var questions, last atomic.Int64
			node := serveAll(t, func(conn *net.TCPConn, note func(string)) {
				first := beginsWithPing(conn) && questions.Add(1) == 1
				switch {
				case first:
					granting(conn, greeting)
				case granting(conn, c.answer):
					last.Add(1)
					answerPackets(conn, c.most, note)
				default:
					answerPackets(conn, 1, note)
				}
			})
			r := newRouter(t, to(node))
			sent := 0
			for end := time.Now().Add(10 * time.Second); last.Load() == 0 && time.Now().Before(end) || sent%10 > 0; sent++ {
				if got := talkTo(t, r, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", sent)); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
					t.Fatalf("request %d: %q", sent, got)
				}
			}
			if last.Load() == 0 {
				t.Fatal("no connection was to be kept")
			}
			if got := talkTo(t, r, "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"); !strings.HasSuffix(got, "1") {
				t.Errorf("a request that must not be repeated: %q, want a connection of its own", got)
			}
			for n, path := range node.requests()[:sent] {
				if path != fmt.Sprintf("/%d", n) {
					t.Fatalf("the node has had %s as request %d", path, n)
				}
			}
		})
	}
}

// FuzzDelivery: however the body is cut, the client gets the same.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3, true)
	f.Add([]byte("hello world"), 4, false)
	f.Fuzz(func(t *testing.T, body []byte, cut int, chunked bool) {
		if cut < 1 {
			cut = 1
		}
		deliver := func(cut int) (out []byte, failed bool) {
			d := delivery{left: -1, decode: true}
			if chunked {
				d.chunks = new(http.Chunks)
			} else {
				d.left = int64(len(body) / 2)
			}
			for at := 0; at < len(body); at += cut {
				var over bool
				var err error
				if out, over, err = d.add(out, body[at:min(at+cut, len(body))]); err != nil {
					return nil, true
				}
				if over {
					break
				}
			}
			return out, false
		}
		whole, failed := deliver(max(len(body), 1))
		parts, also := deliver(cut)
		if !failed && !also && !bytes.Equal(whole, parts) {
			t.Fatalf("%q became %q, in parts of %d %q", body, whole, cut, parts)
		}
	})
}

// TestWhatANodeSendsTooMuchIsNoAnswer: it comes with the answer, or later, and must not be the next client's.
func TestWhatANodeSendsTooMuchIsNoAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"behind the length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
		"behind the chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
		"a body of a 304":   "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
	} {
		node := serveAll(t, func(c *net.TCPConn, _ func(string)) {
			data := make([]byte, 0, 4096)
			for {
				n, err := c.Read(data[len(data):cap(data)])
				if err != nil {
					return
				}
				if data = data[:len(data)+n]; bytes.HasSuffix(data, []byte("\r\n\r\n")) {
					data = data[:0]
					_, _ = io.WriteString(c, answer)
				}
			}
		})
		got := talk(t, getRoot+getRoot+getRoot, func(spec *routerspec.Spec) {
			to(node)(spec)
			spec.HTTP.BackendHTTP = true
		})
		if strings.Contains(got, "evil") || strings.Count(got, "HTTP/1.1 ") != 3 {
			t.Errorf("%s: %q", name, got)
		}
	}
}
