package statuspage

import (
	"bufio"
	"context"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:9000": true, "127.0.0.1": true, "127.0.0.1:9000": true, "127.8.9.1:80": true, "[::1]:9000": true,
		"[::1]": true, "[::ffff:127.0.0.1]:1": true,
		"": false, "evil.example": false, "evil.example:9000": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"10.0.0.1:9000": false, "0.0.0.0:9000": false, "[::]": false, "localhost:9000@evil.example": false, "localhost:x": false, "2130706433": false,
		"127.0.0.1]": false, "[127.0.0.1": false, "[::1": false, "::1]": false, "::1%A0@": false, "[::1%lo]:80": false,
	} {
		if got := isThisMachine(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// What is taken for this machine is so for browsers, too.
func FuzzHosts(f *testing.F) {
	for _, host := range []string{"localhost:9000", "127.0.0.1", "[::1]:80", "[::ffff:127.0.0.1]", "a@127.0.0.1", "127.0.0.1.evil.example:1", "[127.0.0.1", "::1"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !isThisMachine(host) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil {
			return // no browser comes from there
		}
		if name := u.Hostname(); !strings.EqualFold(name, "localhost") && !net.ParseIP(name).IsLoopback() {
			t.Errorf("%q is %q", host, name)
		}
	})
}

// ask sends a request to the page on a connection of its own, and returns the head of the answer.
func ask(t *testing.T, address, request string) (head *fasthttp.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.ReplaceAll(request, "\n", "\r\n") + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var answer fasthttp.Response
	if err := answer.Header.Read(bufio.NewReader(conn)); err != nil {
		t.Fatal(err)
	}
	return &answer
}

func TestWhoIsAnswered(t *testing.T) {
	p := New()
	p.Note(after(0, 0))
	address := serve(t, p)
	for _, one := range []struct {
		request string
		status  int
	}{
		{"GET / HTTP/1.1\nHost: localhost:9000", 200},
		{"GET / HTTP/1.1\nHost: evil.example", 421},
		{"GET / HTTP/1.0", 421},
		{"GET /events HTTP/1.1\nHost: evil.example", 421},
		{"HEAD /events HTTP/1.1\nHost: localhost", 200},
		{"GET / HTTP/1.1\nHost: localhost\nSec-Fetch-Site: cross-site", 200}, // a link leads here
		{"GET /events HTTP/1.1\nHost: localhost\nSec-Fetch-Site: cross-site", 403},
		{"GET /events HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-site", 403},
		{"GET /events HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-origin", 200},
	} {
		answer := ask(t, address, one.request)
		if answer.StatusCode() != one.status {
			t.Errorf("%q: %d, want %d", one.request, answer.StatusCode(), one.status)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := string(answer.Header.Peek(name)); got != want {
				t.Errorf("%q: %s: %q", one.request, name, got)
			}
		}
	}
}

func TestAnotherAddressIsAskedByAnyName(t *testing.T) {
	var r fasthttp.RequestCtx
	r.Init2(remote{}, nil, false)
	r.Request.Header.SetHost("status.example.org")
	New().Document(context.Background(), &r)
	if r.Response.StatusCode() != 200 {
		t.Errorf("%d", r.Response.StatusCode())
	}
}

// remote is a connection to an address that is not this machine's alone.
type remote struct{ net.Conn }

func (remote) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9000} }

func TestThePageNeedsNothingFromOutside(t *testing.T) {
	text := string(document)
	for _, one := range []string{"<style>", "</style>", "<script>", "</script>"} {
		if strings.Count(text, one) != 1 {
			t.Errorf("%s is there %d times: the policy names one", one, strings.Count(text, one))
		}
	}
	for _, one := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", "@import", " style=", "onclick="} {
		rest := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // a name, not an address
		if strings.Contains(rest, one) {
			t.Errorf("it has %q", one)
		}
	}
	for _, one := range []string{"default-src 'none'", "script-src 'sha256-", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, one) || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %s", policy)
		}
	}
}
