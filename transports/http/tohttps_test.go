package http

import (
	"errors"
	"strings"
	"testing"

	"envoxyd/transports"
)

func redirected(text string) transports.Request {
	c := &transports.Conn{Socket: &transports.Socket{Limit: 4096, ServerName: "this-host"}}
	return ToHTTPS.New().Receive(c, []byte(text), make([]byte, 0, 8192))
}

func TestRedirections(t *testing.T) {
	for text, want := range map[string]string{
		"GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\n\r\n":                            "https://a.test/x?y=1",
		"GET /x HTTP/1.1\r\nHost: a.test:8080\r\n\r\n":                           "https://a.test/x",
		"HEAD /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n":                             "https://[::1]/x",
		"GET /x HTTP/1.1\r\nHost: [fe80::1]\r\n\r\n":                             "https://[fe80::1]/x",
		"GET /z HTTP/1.0\r\n\r\n":                                                "https://this-host/z",
		"GET http://b.test:80/z?q HTTP/1.1\r\nHost: a\r\n\r\n":                   "https://b.test/z?q",
		"GET http://b.test?q HTTP/1.1\r\nHost: a\r\n\r\n":                        "https://b.test/?q",
		"GET http://b.test HTTP/1.1\r\nHost: a\r\n\r\n":                          "https://b.test/",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n":                                  "https://a/",
		"CONNECT c.test:443 HTTP/1.1\r\nHost: a\r\n\r\n":                         "https://a/",
		"GET /\xc3\xa9%20\"<> HTTP/1.1\r\nHost: a\r\n\r\n":                       "https://a/%C3%A9%20%22%3C%3E",
		"GET //evil.test/x HTTP/1.1\r\nHost: a\r\n\r\n":                          "https://a//evil.test/x",
		"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin":    "https://a/p",
		"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n": "https://a/p",
	} {
		q := redirected(text)
		if q.Err != nil {
			t.Errorf("%q: %v", text, q.Err)
			continue
		}
		if want := "HTTP/1.1 301 Moved Permanently\r\nLocation: " + want + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; string(q.Answer) != want {
			t.Errorf("%q: %q, want %q", text, q.Answer, want)
		}
	}
}

func TestWhatIsNotRedirected(t *testing.T) {
	for text, status := range map[string]int{
		"GET /x HTTP/1.1\r\nHost: a\tb\r\n\r\n":       400,
		"GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n":        400,
		"GET /x HTTP/1.1\r\nHost: [::1\r\n\r\n":       400,
		"GET /x HTTP/1.1\r\nHost: :80\r\n\r\n":        400,
		"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n":        400,
		"GET http://x@y/ HTTP/1.1\r\nHost: a\r\n\r\n": 400,
		"GET /x HTTP/1.1\r\n\r\n":                     400,
		"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n":        400,
		"GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n":    400,
	} {
		q := redirected(text)
		var refused *Error
		if !errors.As(q.Err, &refused) || refused.Status != status || q.Answer != nil {
			t.Errorf("%q: %v, %q; want %d", text, q.Err, q.Answer, status)
		}
	}
	if q := redirected("GET /x HTTP/1.1\r\nHost: a\r\n"); q.Err != nil || q.Answer != nil {
		t.Errorf("half a head: %+v", q)
	}
	var long *transports.TooLongError
	if q := redirected("GET /" + strings.Repeat("a", 5000) + " HTTP/1.1\r\nHost: a\r\n\r\n"); !errors.As(q.Err, &long) {
		t.Errorf("over the limit: %v", q.Err)
	}
}

// Whatever a client sends, an answer is one head with one Location of a sound host.
func FuzzToHTTPS(f *testing.F) {
	f.Add([]byte("GET http://b.test?q HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"))
	f.Add([]byte("GET /\x7f\x80 HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		answer := string(redirected(string(data)).Answer)
		if answer == "" {
			return
		}
		lines := strings.Split(answer, "\r\n")
		location, is := strings.CutPrefix(lines[1], "Location: https://")
		if len(lines) != 6 || !is || strings.ContainsAny(answer[:len(answer)-4], "\x00\t") || strings.Count(answer, "\n") != 5 {
			t.Fatalf("%q", answer)
		}
		if host, _, _ := strings.Cut(location, "/"); !isHost([]byte(host)) {
			t.Fatalf("%q", answer)
		}
		for _, b := range []byte(location) {
			if b <= ' ' || b > '~' {
				t.Fatalf("%q", answer)
			}
		}
	})
}
