package httprouter

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routerspec"
)

// dial is a client's connection to a router.
func dial(t *testing.T, r *testRouter) net.Conn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "client")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r.Take(fds[1], &routerspec.Socket{Port: "80"}, netip.AddrPort{})
	return c
}

const getRoot = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// TestEachClientGetsItsOwnAnswer: many at a time, over connections that are kept, given back and taken again.
func TestEachClientGetsItsOwnAnswer(t *testing.T) {
	node := serveAll(t, func(c *net.TCPConn, _ func(string)) {
		most := 1
		if granting(c, greeting) {
			most = 7
		}
		for range most {
			vars := packet(c)
			if vars == nil {
				return
			}
			path := vars["PATH_INFO"]
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
		}
	})
	r := newRouter(t, to(node))
	const clients, requests = 20, 50
	var running sync.WaitGroup
	for n := range clients {
		c := dial(t, r)
		running.Go(func() {
			answers := bufio.NewReader(c)
			for m := range requests {
				path := fmt.Sprintf("/%d/%d", n, m)
				if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path); err != nil {
					t.Error(err)
					return
				}
				answer, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				if body, err := io.ReadAll(answer.Body); string(body) != path || err != nil {
					t.Errorf("%s: %q, %v", path, body, err)
				}
			}
			c.Close()
		})
	}
	running.Wait()
	for range clients {
		<-r.ended
	}
}

// TestAClientComesBackFromAGoroutine: what waits for its body is none of a loop's, what follows is.
func TestAClientComesBackFromAGoroutine(t *testing.T) {
	r := newRouter(t, to(answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
	c := dial(t, r)
	from := bufio.NewReader(c)
	expect := func(status int) {
		t.Helper()
		answer, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != status {
			t.Fatalf("%d, %v; want %d", answer.StatusCode, err, status)
		}
	}
	for range 3 {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		expect(100)
		_, _ = io.WriteString(c, "hello")
		expect(200)
		_, _ = io.WriteString(c, getRoot+getRoot)
		expect(200)
		expect(200)
	}
	c.Close()
	<-r.ended
}

// TestAnswersInPieces: wherever an answer is cut, the client gets the same.
func TestAnswersInPieces(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"sized", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"},
		{"with a hint", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := serve(t, func(_ int, conn *net.TCPConn, _ func(string)) {
				packet(conn)
				for i := range c.answer {
					if _, err := io.WriteString(conn, c.answer[i:i+1]); err != nil {
						return
					}
				}
			})
			if got := talk(t, getRoot, to(node)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestAClientThatReadsLateGetsAllOfIt: neither side's buffers hold the answer.
func TestAClientThatReadsLateGetsAllOfIt(t *testing.T) {
	const size = 8 << 20
	sent := make(chan struct{})
	node := serve(t, func(_ int, c *net.TCPConn, _ func(string)) {
		packet(c)
		close(sent)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	})
	r := newRouter(t, to(node))
	c := dial(t, r)
	_, _ = io.WriteString(c, getRoot)
	<-sent
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer.Body); n != size || err != nil {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
	c.Close()
	<-r.ended
}

func TestWaitsHaveAnEnd(t *testing.T) {
	soon := func(spec *routerspec.Spec) {
		spec.Routing.TimeoutMillis, spec.HTTP.KeepaliveMillis, spec.Routing.Quiet = 50, 50, true
	}
	silent := func(answer string) *fakeNode {
		return serve(t, func(_ int, c *net.TCPConn, _ func(string)) {
			packet(c)
			_, _ = io.WriteString(c, answer)
			_, _ = io.Copy(io.Discard, c)
		})
	}
	whole := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, c := range []struct{ name, ask, answer, want string }{
		{"for a request", "", "", ""},
		{"for the next request", getRoot, whole, whole},
		{"for the rest of a head", "GET / HT", "", "HTTP/1.1 408 Request Timeout"},
		{"for an answer", getRoot, "", "HTTP/1.1 504 Gateway Timeout"},
		{"for the rest of its head", getRoot, "HTTP/1.1 2", "HTTP/1.1 504 Gateway Timeout"},
		{"for the rest of its body", getRoot, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter(t, func(spec *routerspec.Spec) { to(silent(c.answer))(spec); soon(spec) })
			conn := dial(t, r)
			_, _ = io.WriteString(conn, c.ask)
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			<-r.ended
		})
	}
}

// TestARouterThatLeavesEndsConnections: those that wait at once, the others with their answers.
func TestARouterThatLeavesEndsConnections(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	node := serve(t, func(_ int, c *net.TCPConn, _ func(string)) {
		packet(c)
		close(asked)
		<-answer
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	r := newRouter(t, to(node))
	idle, busy := dial(t, r), dial(t, r)
	_, _ = io.WriteString(busy, getRoot)
	<-asked
	r.Drain(0)
	if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
		t.Errorf("one that waited got %q, %v", got, err)
	}
	close(answer)
	want := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
	if got, err := io.ReadAll(busy); string(got) != want || err != nil {
		t.Errorf("one with a request got %q, %v; want %q", got, err, want)
	}
	<-r.ended
	<-r.ended
}

// TestStopEndsWhatIsLeft: whatever it waits for.
func TestStopEndsWhatIsLeft(t *testing.T) {
	asked := make(chan struct{})
	node := serve(t, func(_ int, c *net.TCPConn, _ func(string)) {
		packet(c)
		close(asked)
		_, _ = io.Copy(io.Discard, c)
	})
	r := newRouter(t, to(node))
	idle, busy := dial(t, r), dial(t, r)
	_, _ = io.WriteString(busy, getRoot)
	<-asked
	r.Stop()
	for _, c := range []net.Conn{idle, busy} {
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		<-r.ended
	}
	late := dial(t, r)
	if _, err := io.ReadAll(late); err != nil {
		t.Error(err)
	}
	<-r.ended
}
