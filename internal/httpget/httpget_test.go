package httpget

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// server answers each connection with the same bytes, and tells what it was asked.
func server(t *testing.T, answer string) (url string, asked chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	asked = make(chan string, 10)
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var head strings.Builder
			for lines := bufio.NewReader(conn); ; {
				line, err := lines.ReadString('\n')
				if head.WriteString(line); err != nil || line == "\r\n" {
					break
				}
			}
			asked <- head.String()
			if answer != "" {
				_, _ = io.WriteString(conn, answer)
				conn.Close()
			}
		}
	}()
	return "http://" + listener.Addr().String(), asked
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		most   int
		status int
		body   string
		err    error
	}{
		"a length":            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 10, 200, "hi", nil},
		"chunks":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", 10, 200, "hi", nil},
		"the end":             {"HTTP/1.0 200 OK\r\n\r\nhi", 10, 200, "hi", nil},
		"too long":            {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", 10, 0, "", ErrLarge},
		"too long, without":   {"HTTP/1.0 200 OK\r\n\r\nhello world", 10, 0, "", ErrLarge},
		"a body nobody wants": {"HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\nx", 0, 503, "", nil},
		"a redirect":          {"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", 10, 302, "", nil},
		"no HTTP":             {"SSH-2.0-x\r\n", 10, 0, "", errAny},
		"nothing":             {"\r\n", 10, 0, "", errAny},
	} {
		url, asked := server(t, c.answer)
		got, err := Get(t.Context(), Request{URL: url + "/a/../b//c?d=%20", MaxBody: c.most, UserAgent: "me", User: "u", Password: "p"})
		if (err == nil) != (c.err == nil) || err != nil && c.err != errAny && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if err == nil && (got.Status != c.status || string(got.Body) != c.body) {
			t.Errorf("%s: %d %q", name, got.Status, got.Body)
		}
		head := <-asked
		for _, want := range []string{"GET /a/../b//c?d=%20 HTTP/1.1\r\n", "\r\nUser-Agent: me\r\n", "\r\nAuthorization: Basic dTpw\r\n", "\r\nHost: 127.0.0.1:", "Connection: close"} {
			if !strings.Contains(head, want) {
				t.Errorf("%s: asked %q, which lacks %q", name, head, want)
			}
		}
		if len(asked) > 0 {
			t.Errorf("%s: asked again", name)
		}
	}
}

var errAny = errors.New("any")

func TestTheContextEndsARequest(t *testing.T) {
	url, asked := server(t, "") // it says nothing
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := Get(ctx, Request{URL: url}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Get(ctx, Request{URL: url}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: %v", err)
	}
}

func TestURLsThatCannotBeUsed(t *testing.T) {
	for _, url := range []string{"", "x", "ftp://h/", "http://", "http:///x", "//h/", "http://u:s3cret@h:port:x/"} {
		if _, err := Get(t.Context(), Request{URL: url}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") }))
	defer s.Close()
	s.Config.ErrorLog = nil
	if _, err := Get(t.Context(), Request{URL: s.URL, MaxBody: 10}); err == nil {
		t.Error("a certificate that nobody has signed was taken")
	}
	known := x509.NewCertPool()
	known.AddCert(s.Certificate())
	got, err := Get(t.Context(), Request{URL: s.URL, MaxBody: 10, TLS: &tls.Config{RootCAs: known}})
	if err != nil || string(got.Body) != "hi" {
		t.Errorf("%v, %v", got, err)
	}
}
