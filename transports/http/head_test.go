package http

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

const hostLine = "Host: h\r\n"

func parseText(text string) (*Head, int, error) {
	h := new(Head)
	n, err := h.Parse([]byte(text))
	return h, n, err
}

// variables is the block of a request as a map; a repeated name is an error.
func variables(t *testing.T, h *Head, peer *transports.Conn) map[string]string {
	t.Helper()
	block, err := h.AppendVars(nil, peer)
	if err != nil {
		t.Fatalf("no variables: %v", err)
	}
	found := map[string]string{}
	for len(block) > 0 {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			t.Fatalf("broken block: %v", err)
		}
		if _, twice := found[string(key)]; twice {
			t.Fatalf("%s is there twice", key)
		}
		found[string(key)] = string(value)
		block = rest
	}
	return found
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"repeated Content-Type":        {"POST / HTTP/1.1\r\n" + hostLine + "Content-Type: a/b\r\ncontent-type: c/d\r\n\r\n", 400},
		"garbage":                      {"garbage\r\n\r\n", 400},
		"no version":                   {"GET /\r\n\r\n", 400},
		"two blanks in the line":       {"GET  / HTTP/1.1\r\n" + hostLine + "\r\n", 400},
		"blank behind the version":     {"GET / HTTP/1.1 \r\n" + hostLine + "\r\n", 400},
		"method with a separator":      {"GE(T / HTTP/1.1\r\n" + hostLine + "\r\n", 400},
		"control byte in the target":   {"GET /\x01 HTTP/1.1\r\n" + hostLine + "\r\n", 400},
		"relative target":              {"GET a/b HTTP/1.1\r\n" + hostLine + "\r\n", 400},
		"unknown version":              {"GET / HTTP/2.0\r\n" + hostLine + "\r\n", 505},
		"another protocol":             {"GET / FOO/9\r\n" + hostLine + "\r\n", 400},
		"bare LF line ends":            {"GET / HTTP/1.1\nHost: h\n\n", 400},
		"bare LF behind a field":       {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
		"bare CR in a value":           {"GET / HTTP/1.1\r\n" + hostLine + "X: a\rb\r\n\r\n", 400},
		"NUL in a value":               {"GET / HTTP/1.1\r\n" + hostLine + "X: a\x00b\r\n\r\n", 400},
		"blank before the colon":       {"GET / HTTP/1.1\r\n" + hostLine + "X : a\r\n\r\n", 400},
		"blank in a name":              {"GET / HTTP/1.1\r\n" + hostLine + "X Y: a\r\n\r\n", 400},
		"no colon":                     {"GET / HTTP/1.1\r\n" + hostLine + "nocolon\r\n\r\n", 400},
		"no name":                      {"GET / HTTP/1.1\r\n" + hostLine + ": x\r\n\r\n", 400},
		"folded field":                 {"GET / HTTP/1.1\r\n" + hostLine + "X: a\r\n b\r\n\r\n", 400},
		"no Host":                      {"GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
		"empty Host":                   {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		"two Hosts":                    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"two lengths":                  {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
		"list of lengths":              {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3, 3\r\n\r\n", 400},
		"signed length":                {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: +3\r\n\r\n", 400},
		"negative length":              {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: -3\r\n\r\n", 400},
		"length with a unit":           {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3x\r\n\r\n", 400},
		"empty length":                 {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length:\r\n\r\n", 400},
		"length beyond 63 bits":        {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 9999999999999999999\r\n\r\n", 400},
		"length and chunks":            {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"chunks in HTTP/1.0":           {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"two transfer encodings":       {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
		"unknown transfer encoding":    {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		"look-alike transfer encoding": {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: xchunked\r\n\r\n", 501},
		"too many fields":              {"GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("X: y\r\n", MaxFields) + "\r\n", 431},
	} {
		_, _, err := parseText(c.text)
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != c.status {
			t.Errorf("%s: got %v, want status %d", name, err, c.status)
		}
	}
}

func TestTargetsThatAreRefused(t *testing.T) {
	for _, target := range []string{"/%", "/%4", "/%zz", "/a%00b", "http:///x"} {
		h, _, err := parseText("GET " + target + " HTTP/1.1\r\n" + hostLine + "\r\n")
		if err == nil {
			_, err = h.AppendVars(nil, &transports.Conn{Socket: &transports.Socket{}})
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 400 {
			t.Errorf("%s: got %v, want status 400", target, err)
		}
	}
}

func TestPathsAreDecodedAndResolved(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a%20b":              {"/a b", ""},
		"//a///b/":            {"//a///b/", ""},
		"/a+b?c+d=%20":        {"/a+b", "c+d=%20"},
		"/%41%2fb":            {"/A/b", ""},
		"/a?b?c":              {"/a", "b?c"},
		"/a/../b":             {"/b", ""},
		"/a/b/../../c":        {"/c", ""},
		"/../../etc":          {"/etc", ""},
		"/a/%2e%2e/b":         {"/b", ""},
		"/a/./b/.":            {"/a/b/", ""},
		"/a/b/..":             {"/a/", ""},
		"/..":                 {"/", ""},
		"/.hidden/..x":        {"/.hidden/..x", ""},
		"/a#frag":             {"/a", ""},
		"http://other/p?q=1":  {"/p", "q=1"},
		"HTTP://other":        {"/", ""},
		"http://other?only=q": {"/", "only=q"},
	} {
		h, _, err := parseText("GET " + target + " HTTP/1.1\r\n" + hostLine + "\r\n")
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		seen := variables(t, h, &transports.Conn{Socket: &transports.Socket{}})
		if got := [2]string{seen["PATH_INFO"], seen["QUERY_STRING"]}; got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
		if seen["REQUEST_URI"] != target {
			t.Errorf("%s: REQUEST_URI is %q", target, seen["REQUEST_URI"])
		}
	}
}

func TestAnAbsoluteTargetNamesTheHost(t *testing.T) {
	h, _, err := parseText("GET http://real/ HTTP/1.1\r\nHost: claimed\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if host := variables(t, h, &transports.Conn{Socket: &transports.Socket{}})["HTTP_HOST"]; host != "real" {
		t.Fatalf("HTTP_HOST is %q", host)
	}
}

func TestTheServersNameCanBeTheHostHeader(t *testing.T) {
	peer := &transports.Conn{Socket: &transports.Socket{ServerName: "me", HostName: true}}
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: shop:80\r\n\r\n":           "shop:80",
		"GET http://other/a HTTP/1.1\r\nHost: shop\r\n\r\n": "other",
		"GET / HTTP/1.0\r\n\r\n":                            "me",
	} {
		h, _, err := parseText(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := variables(t, h, peer)["SERVER_NAME"]; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFieldsBecomeVariables(t *testing.T) {
	h, _, err := parseText("POST / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \t\r\nCookie: a=1\r\nCookie: b=2\r\n" +
		"Content-Type: text/x\r\nContent-Length: 4\r\nProxy: evil\r\nX_A: spoof\r\nX-Empty:\r\nX-High: \xe9\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	seen := variables(t, h, &transports.Conn{Socket: &transports.Socket{ServerName: "me", Port: "80"}, RemoteAddr: "1.2.3.4"})
	want := map[string]string{"HTTP_X_A": "1, 2", "HTTP_COOKIE": "a=1; b=2", "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "4",
		"HTTP_X_EMPTY": "", "HTTP_X_HIGH": "\xe9", "HTTP_HOST": "h", "SERVER_NAME": "me", "SERVER_PORT": "80",
		"REMOTE_ADDR": "1.2.3.4", "REQUEST_METHOD": "POST", "REQUEST_URI": "/", "PATH_INFO": "/", "QUERY_STRING": "",
		"SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": ""}
	for key, value := range want {
		if got, there := seen[key]; !there || got != value {
			t.Errorf("%s is %q, want %q", key, got, value)
		}
		delete(seen, key)
	}
	if len(seen) > 0 {
		t.Errorf("not expected: %v", seen)
	}
}

func TestPersistence(t *testing.T) {
	for text, want := range map[string]bool{
		"GET / HTTP/1.1\r\n" + hostLine + "\r\n":                                  true,
		"GET / HTTP/1.1\r\n" + hostLine + "Connection: close\r\n\r\n":             false,
		"GET / HTTP/1.1\r\n" + hostLine + "Connection: x , Close\r\n\r\n":         false,
		"GET / HTTP/1.1\r\n" + hostLine + "Connection: keep-alive\r\n\r\n":        true,
		"GET / HTTP/1.0\r\n" + hostLine + "Connection: keep-alive\r\n\r\n":        true,
		"GET / HTTP/1.0\r\n" + hostLine + "\r\n":                                  false,
		"GET / HTTP/1.0\r\n" + hostLine + "Connection: keep-alive, close\r\n\r\n": false,
		"GET / HTTP/1.1\r\n" + hostLine + "Connection: closed, close-x\r\n\r\n":   true,
	} {
		h, n, err := parseText(text)
		if err != nil || n != len(text) || h.Persistent() != want {
			t.Errorf("%q: persistent %v, %d bytes, %v; want %v", text, h.Persistent(), n, err, want)
		}
	}
}

func TestEverySplitOfARequestAsksForMoreUntilItIsWhole(t *testing.T) {
	text := "\r\nPOST /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
	head := len(text) - 3
	h := new(Head)
	for size := range text {
		n, err := h.Parse([]byte(text[:size]))
		if err != nil {
			t.Fatalf("after %d bytes: %v", size, err)
		}
		if want := 0; size < head && n != want || size >= head && n != head {
			t.Fatalf("after %d bytes: head of %d", size, n)
		}
	}
	if h.ContentLength != 3 || !h.Continue {
		t.Fatalf("parsed as %+v", h.ContentLength)
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	text := []byte("GET /cards/1?x=y HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	h, peer, vars := new(Head), &transports.Conn{Socket: &transports.Socket{ServerName: "n", Port: "80"}, RemoteAddr: "127.0.0.1"}, make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := h.Parse(text); err != nil {
			t.Fatal(err)
		}
		if _, err := h.AppendVars(vars[:0], peer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkHead(b *testing.B) {
	text := []byte("GET /cards/1?x=y HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	h, peer, vars := new(Head), &transports.Conn{Socket: &transports.Socket{ServerName: "n", Port: "80"}, RemoteAddr: "127.0.0.1"}, make([]byte, 0, 4096)
	for b.Loop() {
		_, _ = h.Parse(text)
		_, _ = h.AppendVars(vars[:0], peer)
	}
}

// What we accept, fasthttp must understand in the same way: a front end that
// reads a request differently is how requests are smuggled.
func FuzzHeadAgainstFasthttp(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /a%20b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-A: 1\r\nX-A: 2\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
		"GET http://x/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := new(Head)
		n, err := h.Parse(data)
		if err != nil || n == 0 {
			return
		}
		if _, err := h.AppendVars(nil, &transports.Conn{Socket: &transports.Socket{}}); err != nil {
			return
		}
		var other fasthttp.RequestHeader
		other.DisableNormalizing()
		reader := bufio.NewReaderSize(bytes.NewReader(data), len(data)+16)
		if err := other.Read(reader); err != nil {
			t.Fatalf("we accept what fasthttp does not: %v", err)
		}
		if used := len(data) - reader.Buffered(); used != n {
			t.Fatalf("head of %d bytes, fasthttp says %d", n, used)
		}
		if string(h.Method) != string(other.Method()) || string(h.Target) != string(other.RequestURI()) {
			t.Fatalf("%q %q, fasthttp says %q %q", h.Method, h.Target, other.Method(), other.RequestURI())
		}
		if length := other.ContentLength(); h.ContentLength >= 0 && int64(length) != h.ContentLength || h.Chunked != (length == -1) {
			t.Fatalf("length %d, chunked %v; fasthttp says %d", h.ContentLength, h.Chunked, length)
		}
	})
}
