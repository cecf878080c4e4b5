package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/transports/http"
)

func read(c *stream.Conn, room []byte) (int, error) { return c.ReadFor(room, 10*time.Second) }

// server listens at an address that it returns; serve has each connection.
func server(t *testing.T, serve func(c net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return listener.Addr().String()
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		text         string
		head         bool
		status, body string
		length       int64
		fields       string
		err          error
	}{
		"a length":       {"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nabcd", false, "200 OK", "abc", 3, "A: b\r\n", nil},
		"until the end":  {"HTTP/1.0 404 No\r\n\r\n" + long, false, "404 No", long, -1, "", nil},
		"chunks":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: r\r\n\r\nmore", false, "200 OK", "abcde", -1, "", nil},
		"a large chunk":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + long + "\r\n0\r\n\r\n", false, "200 OK", long, -1, "", nil},
		"hop by hop":     {"HTTP/1.1 200 OK\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 1\r\nB: c\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n", false, "200 OK", "", 0, "B: c\r\n", nil},
		"not modified":   {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, "304 Not Modified", "", 9, "", nil},
		"of HEAD":        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, "200 OK", "", 9, "", nil},
		"of HEAD, chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, "200 OK", "", -1, "", nil},
		"early hints":    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", false, "200 OK", "a", 1, "", nil},
		"no phrase":      {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", false, "200", "a", 1, "", nil},

		"nothing":          {"", false, "", "", 0, "", http.ErrNoResponse},
		"half a head":      {"HTTP/1.1 200 OK\r\nA: b\r\n", false, "", "", 0, "", io.ErrUnexpectedEOF},
		"another protocol": {"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "", "", 0, "", ErrSwitch},
		"a long head":      {"HTTP/1.1 200 OK\r\nA: " + long + "\r\n\r\n", false, "", "", 0, "", http.ErrResponseHead},
		"half a body":      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, "200 OK", "ab", 3, "", io.ErrUnexpectedEOF},
		"half of chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", false, "200 OK", "ab", -1, "", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			address := server(t, func(peer net.Conn) {
				_, _ = io.ReadFull(peer, make([]byte, 7))
				_, _ = peer.Write([]byte(c.text))
			})
			x, err := Dial(address, time.Second, read)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if err := x.Send([]byte("request"), nil, time.Second); err != nil {
				t.Fatal(err)
			}
			a, err := x.Head(c.head)
			if c.status == "" {
				if !errors.Is(err, c.err) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			early := x.Early()
			body, err := io.ReadAll(x)
			body = append(early, body...)
			if a.Status != c.status || a.Length != c.length || string(a.Fields) != c.fields || string(body) != c.body || !errors.Is(err, c.err) {
				t.Errorf("%+v %q %.99q: %v", a, a.Fields, body, err)
			}
		})
	}
}

// A server may answer before it has read the request's body, and need not read it.
func TestBodiesThatNobodyReads(t *testing.T) {
	address := server(t, func(peer net.Conn) {
		_, _ = io.ReadFull(peer, make([]byte, 7))
		_, _ = peer.Write([]byte("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"))
		_, _ = peer.Read(make([]byte, 1))
	})
	x, err := Dial(address, time.Second, read)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Send([]byte("request"), strings.NewReader(strings.Repeat("x", 10<<20)), time.Minute); err != nil {
		t.Fatal(err)
	}
	a, err := x.Head(false)
	if err != nil || a.Code != 413 {
		t.Fatal(a, err)
	}
	x.Close() // ends the sending, too
}

func TestWaking(t *testing.T) {
	hold := make(chan struct{})
	address := server(t, func(net.Conn) { <-hold })
	x, err := Dial(address, time.Second, read)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, x.Wake)
	if _, err := x.Head(false); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, stream.ErrWoken) {
		t.Error(err)
	}
	x.Close()
	close(hold)
	if _, err := Dial("/nowhere", time.Second, read); !errors.Is(err, stream.ErrRefused) {
		t.Error(err)
	}
}
