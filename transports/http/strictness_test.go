package http

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"envoxyd/transports"

	"github.com/valyala/fasthttp"
)

// byFasthttp reads a request as a server on fasthttp would; its body, if the whole of it is to be read.
func byFasthttp(text string) (*fasthttp.Request, error) {
	request := new(fasthttp.Request)
	request.Header.DisableNormalizing()
	return request, request.Read(bufio.NewReaderSize(strings.NewReader(text), 16<<10))
}

// What fasthttp takes and we do not: why the request path has a parser of its own (docs/internals.md). A case that fails
// because fasthttp has become strict is one reason less.
func TestHeadsThatFasthttpAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		length int // that fasthttp takes the body to have; -1: chunks, -2: none is announced
	}{
		"length and chunks":          {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, -1},
		"chunks and length":          {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, -1},
		"identity as a coding":       {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 501, 3},
		"folded field":               {"GET / HTTP/1.1\r\n" + hostLine + "X: a\r\n b\r\n\r\n", 400, -2},
		"folded length":              {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length:\r\n 3\r\n\r\nabc", 400, 3},
		"blank in a name":            {"GET / HTTP/1.1\r\n" + hostLine + "Transfer Encoding: chunked\r\n\r\n", 400, -2},
		"bare LF behind the line":    {"GET / HTTP/1.1\nHost: h\r\n\r\n", 400, -2},
		"bare LF before the line":    {"\nGET / HTTP/1.1\r\n" + hostLine + "\r\n", 400, -2},
		"many empty lines before it": {"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + hostLine + "\r\n", 400, -2},
		"HTTP/2.0":                   {"GET / HTTP/2.0\r\n" + hostLine + "\r\n", 505, -2},
		"HTTP/1.9":                   {"GET / HTTP/1.9\r\n" + hostLine + "\r\n", 505, -2},
		"too many fields":            {"GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("X: y\r\n", MaxFields) + "\r\n", 431, -2},
	} {
		_, _, err := parseText(c.text)
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != c.status {
			t.Errorf("%s: %v, want status %d", name, err, c.status)
		}
		var other fasthttp.RequestHeader
		if err := other.Read(bufio.NewReaderSize(strings.NewReader(c.text), 16<<10)); err != nil || other.ContentLength() != c.length {
			t.Errorf("%s: fasthttp says length %d, %v; want %d", name, other.ContentLength(), err, c.length)
		}
		if _, err := byFasthttp(c.text); err != nil {
			t.Errorf("%s: fasthttp does not read the whole request: %v", name, err)
		}
	}
}

// Names that a CGI variable cannot tell apart: fasthttp hands both on, we drop the one with the underscore.
func TestNamesThatFasthttpTellsApart(t *testing.T) {
	text := "GET / HTTP/1.1\r\n" + hostLine + "X_Role: admin\r\nX-Role: guest\r\n\r\n"
	other, err := byFasthttp(text)
	if err != nil || string(other.Header.Peek("X_Role")) != "admin" {
		t.Errorf("fasthttp: %q, %v", other.Header.Peek("X_Role"), err)
	}
	h, _, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := variables(t, h, &transports.Conn{Socket: &transports.Socket{}})["HTTP_X_ROLE"]; got != "guest" {
		t.Errorf("HTTP_X_ROLE is %q", got)
	}
}

func TestChunkedBodies(t *testing.T) {
	const head = "POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		body           string
		ours, fasthttp bool
	}{
		"plain":                    {"1\r\na\r\n0\r\n\r\n", true, true},
		"an extension":             {"1;x=y\r\na\r\n0\r\n\r\n", true, true},
		"leading zeros":            {"0001\r\na\r\n0\r\n\r\n", true, true},
		"a trailer":                {"1\r\na\r\n0\r\nX: y\r\n\r\n", true, true},
		"LF behind the size":       {"1\na\r\n0\r\n\r\n", false, false},
		"LF behind the data":       {"1\r\na\n0\r\n\r\n", false, false},
		"nothing behind the data":  {"1\r\na0\r\n\r\n", false, false},
		"a signed size":            {"+1\r\na\r\n0\r\n\r\n", false, false},
		"a prefixed size":          {"0x1\r\na\r\n0\r\n\r\n", false, false},
		"no size":                  {"\r\na\r\n0\r\n\r\n", false, false},
		"a control byte beside it": {"1;\x01\r\na\r\n0\r\n\r\n", false, true},
		"text behind the size":     {"1 2\r\na\r\n0\r\n\r\n", false, false},
		"a blank behind the size":  {"1 \r\na\r\n0\r\n\r\n", true, true},
		"a malformed trailer":      {"1\r\na\r\n0\r\nX y\r\n\r\n", false, false},
		"a trailer with a blank":   {"1\r\na\r\n0\r\nX : y\r\n\r\n", false, true},
		"a length as a trailer":    {"1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n", true, false}, // we hand trailers to nobody
	} {
		var chunks Chunks
		got, _, err := chunks.Decode(nil, []byte(c.body))
		if ok := err == nil && chunks.Done() && bytes.Equal(got, []byte("a")); ok != c.ours {
			t.Errorf("%s: %q, %v, whole %v", name, got, err, chunks.Done())
		}
		other, err := byFasthttp(head + c.body)
		if ok := err == nil && string(other.Body()) == "a"; ok != c.fasthttp {
			t.Errorf("%s: fasthttp says %q, %v", name, other.Body(), err)
		}
	}
}

// BenchmarkHeadOfFasthttp is BenchmarkHead without what makes variables of the fields.
func BenchmarkHeadOfFasthttp(b *testing.B) {
	text := []byte("GET /cards/1?x=y HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	var head fasthttp.RequestHeader
	head.DisableNormalizing()
	source := bytes.NewReader(nil)
	reader := bufio.NewReaderSize(source, 4096)
	for b.Loop() {
		source.Reset(text)
		reader.Reset(source)
		if err := head.Read(reader); err != nil {
			b.Fatal(err)
		}
	}
}
