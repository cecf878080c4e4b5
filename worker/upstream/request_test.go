package upstream

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
)

// block makes variables of NAME=VALUE.
func block(pairs ...string) (vars []byte) {
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		vars = uwsgi.AppendVar(vars, name, value)
	}
	return vars
}

func TestHTTPRequests(t *testing.T) {
	get := func(more ...string) []byte {
		return block(append([]string{"REQUEST_METHOD=GET", "REQUEST_URI=/a?b"}, more...)...)
	}
	for name, c := range map[string]struct {
		http   HTTP
		vars   []byte
		length int64
		want   string
	}{
		"plain":             {HTTP{}, get("HTTP_HOST=h", "HTTP_X_Y_ZED=1"), NoBody, "GET /a?b HTTP/1.1|Host: h|X-Y-Zed: 1|Connection: close||"},
		"another host":      {HTTP{Host: "o"}, get("HTTP_HOST=h"), NoBody, "GET /a?b HTTP/1.1|Host: o|Connection: close||"},
		"another target":    {HTTP{Target: "/t u\r\n"}, get("HTTP_HOST=h"), NoBody, "GET /t%20u%0D%0A HTTP/1.1|Host: h|Connection: close||"},
		"no host":           {HTTP{}, get(), NoBody, "GET /a?b HTTP/1.1|Host: |Connection: close||"},
		"no target":         {HTTP{}, block("REQUEST_METHOD=GET"), NoBody, "GET / HTTP/1.1|Host: |Connection: close||"},
		"a body":            {HTTP{}, get("HTTP_HOST=h", "CONTENT_TYPE=a/b", "CONTENT_LENGTH=9", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_CONTENT_LENGTH=3"), 4, "GET /a?b HTTP/1.1|Host: h|Content-Type: a/b|Content-Length: 4|Connection: close||"},
		"an empty body":     {HTTP{}, get("HTTP_HOST=h"), 0, "GET /a?b HTTP/1.1|Host: h|Content-Length: 0|Connection: close||"},
		"the client":        {HTTP{}, get("HTTP_HOST=h", "REMOTE_ADDR=1.2.3.4"), NoBody, "GET /a?b HTTP/1.1|Host: h|Connection: close|X-Forwarded-For: 1.2.3.4||"},
		"a proxy before us": {HTTP{}, get("HTTP_HOST=h", "REMOTE_ADDR=1.2.3.4", "HTTP_X_FORWARDED_FOR=9.9.9.9"), NoBody, "GET /a?b HTTP/1.1|Host: h|Connection: close|X-Forwarded-For: 9.9.9.9, 1.2.3.4||"},
		"hop by hop":        {HTTP{}, get("HTTP_HOST=h", "HTTP_CONNECTION=close, X-Mine", "HTTP_X_MINE=1", "HTTP_TE=trailers", "HTTP_UPGRADE=h2c", "HTTP_EXPECT=100-continue", "HTTP_X=1"), NoBody, "GET /a?b HTTP/1.1|Host: h|X: 1|Connection: close||"},
		"control bytes":     {HTTP{Host: "o\nX: 1"}, block("REQUEST_METHOD=GET", "REQUEST_URI=/a\r\nX: 1", "HTTP_A=b\r\nX: 1", "HTTP_C D=e", "HTTP_F:=g"), NoBody, "GET /a%0D%0AX:%201 HTTP/1.1|A: b|Host: o|Connection: close||"},
	} {
		got, err := c.http.Append(nil, c.vars, c.length)
		if text := strings.ReplaceAll(string(got), "\r\n", "|"); err != nil || text != c.want {
			t.Errorf("%s: %v\n%s\n%s", name, err, text, c.want)
		}
	}
	for _, method := range []string{"", "GET /", "A\r\nB"} {
		if _, err := (HTTP{}).Append(nil, block("REQUEST_METHOD="+method), NoBody); !errors.Is(err, ErrMethod) {
			t.Errorf("%q: %v", method, err)
		}
	}
}

func TestUWSGIRequests(t *testing.T) {
	for name, c := range map[string]struct {
		vars   []byte
		length int64
		want   []byte
	}{
		"as it came":          {block("A=b", "CONTENT_LENGTH=4", "C=d"), 4, block("A=b", "CONTENT_LENGTH=4", "C=d")},
		"no body":             {block("A=b", "CONTENT_LENGTH="), NoBody, block("A=b", "CONTENT_LENGTH=")},
		"none at all":         {block("A=b"), NoBody, block("A=b")},
		"in chunks":           {block("HTTP_TRANSFER_ENCODING=chunked", "A=b"), 12, block("A=b", "CONTENT_LENGTH=12")},
		"changed by a rule":   {block("CONTENT_LENGTH=9", "A=b"), 4, block("A=b", "CONTENT_LENGTH=4")},
		"without one, a rule": {block("CONTENT_LENGTH=9"), NoBody, block("CONTENT_LENGTH=0")},
	} {
		got, err := UWSGI{Modifier1: 5, Modifier2: 7}.Append([]byte("x"), c.vars, c.length)
		want := append(uwsgi.AppendHeader([]byte("x"), uwsgi.Header{Modifier1: 5, Modifier2: 7, Size: len(c.want)}), c.want...)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%q\n%q", name, err, got, want)
		}
	}
	if _, err := (UWSGI{}).Append(nil, block("A="+strings.Repeat("x", 40000), "B="+strings.Repeat("x", 30000)), NoBody); !errors.Is(err, ErrBlock) {
		t.Error(err)
	}
}

// Whatever the variables are, an HTTP request is one, and has the lines that its variables make and no others.
func FuzzHTTPRequest(f *testing.F) {
	f.Add("GET", "/a b\r\n", "HTTP_X", "y\r\nEvil: 1", "h\n")
	f.Add("G T", "", "HTTP_\r\n", "", "")
	f.Fuzz(func(t *testing.T, method, uri, name, value, host string) {
		if len(method)+len(uri)+len(name)+len(value) > 60000 {
			return
		}
		vars := uwsgi.AppendVar(uwsgi.AppendVar(uwsgi.AppendVar(nil, "REQUEST_METHOD", method), "REQUEST_URI", uri), "A"+name, value)
		got, err := HTTP{Host: host}.Append(nil, uwsgi.AppendVar(vars, name, value), NoBody)
		if err != nil {
			return
		}
		lines := strings.Split(strings.TrimSuffix(string(got), "\r\n\r\n"), "\r\n")
		if len(lines) > 5 || strings.Count(lines[0], " ") != 2 || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
			t.Errorf("%q", got)
		}
	})
}
