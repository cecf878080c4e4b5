package client

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
)

// server answers one connection: it reads the packet and a body of that many bytes, and writes the answer.
func server(t *testing.T, body int, answer string) (address string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan string, 1)
	go func() {
		defer close(seen)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		head := make([]byte, uwsgi.HeaderSize)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		rest := make([]byte, uwsgi.ParseHeader(head).Size+body)
		if _, err := io.ReadFull(c, rest); err != nil {
			return
		}
		seen <- string(head) + string(rest)
		for part := range strings.SplitSeq(answer, "|") {
			_, _ = io.WriteString(c, part)
		}
	}()
	return l.Addr().String(), seen
}

func TestExchanges(t *testing.T) {
	block := uwsgi.AppendVar(nil, "A", "b")
	for _, c := range []struct {
		name, answer string
		head         bool
		status       int
		body         string
		err          error // of reading the body
	}{
		{"until the end", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello| world", false, 200, "hello world", nil},
		{"of a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", false, 200, "hello", nil},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", false, 200, "hello", io.ErrUnexpectedEOF},
		{"after an early hint", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n|HTTP/1.1 404 Not Found\r\n\r\nno", false, 404, "no", nil},
		{"of HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, "", nil},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, "", nil},
		{"upgraded", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nframes", false, 101, "frames", nil},
		{"a long head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 20000) + "\r\n\r\nhello", false, 200, "hello", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, got := server(t, 4, c.answer)
			a, err := Do(address, Timeouts{time.Second, 5 * time.Second}, &Request{Modifier1: 5, Modifier2: 6, Vars: block, Body: strings.NewReader("body"), Head: c.head})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if want := string(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: 5, Modifier2: 6, Size: len(block)})) + string(block) + "body"; <-got != want {
				t.Error("the server has read something else")
			}
			body, err := io.ReadAll(a)
			if a.Status != c.status || string(body) != c.body || !errors.Is(err, c.err) {
				t.Errorf("%d, %q, %v", a.Status, body, err)
			}
		})
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"", ErrNothing},
		{"HTTP/1.1 200 OK\r\nA: b", io.ErrUnexpectedEOF},
		{"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", MaxHead) + "\r\n\r\n", ErrHead},
	} {
		address, _ := server(t, 0, c.answer)
		if _, err := Do(address, Timeouts{time.Second, 5 * time.Second}, &Request{Vars: []byte("\x01\x00A\x00\x00")}); !errors.Is(err, c.want) {
			t.Errorf("%.20q: %v, want %v", c.answer, err, c.want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	defer l.Close()
	if _, err := Do(address, Timeouts{time.Second, 10 * time.Millisecond}, &Request{}); err == nil || errors.Is(err, stream.ErrRefused) {
		t.Errorf("a silent server: %v", err)
	}
	l.Close()
	if _, err := Do(address, Timeouts{time.Second, time.Second}, &Request{}); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("no server: %v", err)
	}
	if _, err := Do(address, Timeouts{}, &Request{Vars: make([]byte, uwsgi.MaxBlock+1)}); !errors.Is(err, ErrBlock) {
		t.Errorf("too many variables: %v", err)
	}
}
