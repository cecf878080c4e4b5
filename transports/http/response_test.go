package http

import (
	"errors"
	"strings"
	"testing"
)

func TestResponseHeads(t *testing.T) {
	for _, c := range []struct {
		text string
		want ResponseHead
		err  error
	}{
		{"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 12\r\n\r\n", ResponseHead{Status: 200, Minor: 1, Length: 12}, nil},
		{"HTTP/1.0 404 Not Found\r\nConnection: Keep-Alive\r\n\r\n", ResponseHead{Status: 404, Length: -1, Keep: true, Said: true}, nil},
		{"HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", ResponseHead{Status: 204, Minor: 1, Length: -1, Chunked: true, Close: true, Said: true}, nil},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", ResponseHead{Status: 200, Minor: 1, Length: 1}, nil},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ResponseHead{}, ErrResponseBody},
		{"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", ResponseHead{}, ErrResponseBody},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ResponseHead{}, ErrResponseBody},
		{"HTTP/1.1 20 OK\r\n\r\n", ResponseHead{}, ErrStatusLine},
		{"HTTP/1.1 2000 OK\r\n\r\n", ResponseHead{}, ErrStatusLine},
		{"HTTP/2.0 200 OK\r\n\r\n", ResponseHead{}, ErrStatusLine},
		{"HTTP/1.1 200 OK\nA: b\n\n", ResponseHead{}, ErrStatusLine},
		{"Status: 200 OK\r\n\r\n", ResponseHead{}, ErrStatusLine},
		{"binary without any end of line", ResponseHead{}, ErrStatusLine},
		{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ResponseHead{}, ErrResponseField},
		{"HTTP/1.1 200 OK\r\n folded\r\n\r\n", ResponseHead{}, ErrResponseField},
		{"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ResponseHead{}, ErrResponseField},
		{"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", ResponseHead{}, ErrResponseField},
	} {
		var r ResponseHead
		n, err := r.Parse([]byte(c.text + "body"))
		if !errors.Is(err, c.err) {
			t.Errorf("%q: %v, want %v", c.text, err, c.err)
		}
		if err != nil {
			continue
		}
		got := ResponseHead{Status: r.Status, Minor: r.Minor, Length: r.Length, Chunked: r.Chunked, Close: r.Close, Keep: r.Keep, Said: r.Said}
		if n != len(c.text) || got.Status != c.want.Status || got.Minor != c.want.Minor || got.Length != c.want.Length || got.Chunked != c.want.Chunked ||
			got.Close != c.want.Close || got.Keep != c.want.Keep || got.Said != c.want.Said {
			t.Errorf("%q: %d bytes, %+v", c.text, n, got)
		}
		for cut := range len(c.text) {
			if n, err := r.Parse([]byte(c.text[:cut])); n != 0 || err != nil {
				t.Fatalf("%q: %d, %v", c.text[:cut], n, err)
			}
		}
	}
}

func TestAResponseHeadIsPassedOnWithoutWhatIsLeftOut(t *testing.T) {
	var r ResponseHead
	text := "HTTP/1.1 200 OK\r\nConnection: close\r\nA: b\r\nKeep-alive: 5\r\nB:c\r\n\r\n"
	if _, err := r.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if got := string(r.Append(nil, "")); got != text {
		t.Errorf("%q became %q", text, got)
	}
	want := "HTTP/1.1 200 OK\r\nA: b\r\nB:c\r\nX: y\r\n\r\n"
	if got := string(r.Append(nil, "X: y\r\n", "connection", "keep-alive")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if value, there := r.Field("b"); !there || string(value) != "c" {
		t.Errorf("field b: %q, %v", value, there)
	}
	if _, there := r.Field("x"); there {
		t.Error("there is a field x")
	}
}

func TestARequestIsPassedOnWithoutWhatIsThisConnectionsOwn(t *testing.T) {
	var h Head
	text := "POST /a?b HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, X-Mine, Content-Length\r\nX-Mine: 1\r\nTE: trailers\r\nX: y\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n"
	if _, err := h.Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	want := "POST /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\nContent-Length: 3\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
	if got := string(h.AppendRequest(nil, "X-Forwarded-For: 192.0.2.1\r\n", false)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := string(h.AppendRequest(nil, "", true)); !strings.Contains(got, "Connection: upgrade\r\nUpgrade: websocket\r\n") {
		t.Errorf("%q", got)
	}
	if h.Websocket() {
		t.Error("it is no wish for a websocket")
	}
}

func TestABodyThatCameInChunksIsMeasured(t *testing.T) {
	var h Head
	if _, err := h.Parse([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	h.Measured(42)
	want := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 42\r\nA: b\r\n\r\n"
	if got := string(h.AppendRequest(nil, "", false)); got != want || h.Chunked || h.ContentLength != 42 {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzResponseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 304\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r ResponseHead
		n, err := r.Parse(data)
		if err != nil || n == 0 {
			return
		}
		if n > len(data) {
			t.Fatalf("%d of %d bytes", n, len(data))
		}
		if got := r.Append(nil, ""); string(got) != string(data[:n]) {
			t.Fatalf("%q became %q", data[:n], got)
		}
	})
}
