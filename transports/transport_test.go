package transports_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
	"envoxyd/transports/fastcgi"
	"envoxyd/transports/http"
	"envoxyd/transports/scgi"
	uwsgitransport "envoxyd/transports/uwsgi"
)

const body = "name=value&other"

// params are the variables of a request in the form of FastCGI.
func params(pairs ...string) (text []byte) {
	for i := 0; i < len(pairs); i += 2 {
		text = append(text, byte(len(pairs[i])), byte(len(pairs[i+1])))
		text = append(append(text, pairs[i]...), pairs[i+1]...)
	}
	return text
}

func record(kind byte, content string) string {
	return string([]byte{1, kind, 0, 7, byte(len(content) >> 8), byte(len(content)), 0, 0}) + content
}

var vars = []string{"CONTENT_LENGTH", fmt.Sprint(len(body)), "REQUEST_METHOD", "POST", "PATH_INFO", "/p"}

// protocols are a whole request in each of them: its head, and the body as it is framed.
func protocols() map[string]struct {
	transport  *transports.Transport
	head, body string
} {
	var block, netstring []byte
	for i := 0; i < len(vars); i += 2 {
		block = uwsgi.AppendVar(block, vars[i], vars[i+1])
		netstring = append(append(append(append(netstring, vars[i]...), 0), vars[i+1]...), 0)
	}
	packet := string(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)})) + string(block)
	return map[string]struct {
		transport  *transports.Transport
		head, body string
	}{
		"http": {&http.Transport, fmt.Sprintf("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)), body},
		"http, chunked": {&http.Transport, "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
			fmt.Sprintf("3\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nT: t\r\n\r\n", body[:3], len(body)-3, body[3:])},
		"uwsgi":  {&uwsgitransport.Transport, packet, body},
		"puwsgi": {&uwsgitransport.Persistent, packet, ""},
		"scgi":   {&scgi.Transport, fmt.Sprintf("%d:%s,", len(netstring), netstring), body},
		"fastcgi": {&fastcgi.Transport, record(1, "\x00\x01\x00\x00\x00\x00\x00\x00") + record(4, string(params(vars[:4]...))) +
			record(4, string(params(vars[4:]...))) + record(4, ""), record(5, body[:5]) + record(5, body[5:]) + record(5, "")},
	}
}

func conn() *transports.Conn {
	return &transports.Conn{Socket: &transports.Socket{Limit: 4096, KeepAlive: true, Port: "80"}, RemoteAddr: "127.0.0.1"}
}

// Whatever pieces a request comes in, it is recognised when its head is whole, not before, and its
// variables do not depend on what follows.
func TestRequestsInEverySplitPosition(t *testing.T) {
	for name, c := range protocols() {
		t.Run(name, func(t *testing.T) {
			all := c.head + c.body + c.head + c.body // the next one right behind it
			receiver, room := c.transport.New(), make([]byte, 4096)
			var first []byte
			for n := range len(all) + 1 {
				q := receiver.Receive(conn(), []byte(all[:n]), room)
				if q.Err != nil || q.Answer != nil {
					t.Fatalf("%d bytes: %v, %q", n, q.Err, q.Answer)
				}
				if whole := q.Vars != nil; whole != (n >= len(c.head)) {
					t.Fatalf("%d of %d bytes of the head: whole %v", n, len(c.head), whole)
				}
				if q.Vars == nil {
					continue
				}
				if first == nil {
					first = bytes.Clone(q.Vars)
				}
				if q.HeadSize != len(c.head) || !bytes.Equal(q.Vars, first) {
					t.Fatalf("%d bytes: a head of %d and %q, want %d and %q", n, q.HeadSize, q.Vars, len(c.head), first)
				}
			}
			for _, want := range []string{"POST", "/p"} {
				if !bytes.Contains(first, []byte(want)) {
					t.Errorf("%q is not among %q", want, first)
				}
			}
		})
	}
}

func TestFramedBodiesInEverySplitPosition(t *testing.T) {
	for name, c := range protocols() {
		receiver := c.transport.New()
		if receiver.Receive(conn(), []byte(c.head), make([]byte, 4096)).Body == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for split := range len(c.body) + 1 {
				decoder := receiver.Receive(conn(), []byte(c.head), make([]byte, 4096)).Body
				got, used, err := decoder.Decode(nil, []byte(c.body[:split]))
				if err == nil {
					var more int
					got, more, err = decoder.Decode(got, []byte(c.body[used:]+"next"))
					used += more
				}
				if err != nil || string(got) != body || used != len(c.body) || !decoder.Done() {
					t.Fatalf("split at %d: %q, %d of %d bytes, done %v, %v", split, got, used, len(c.body), decoder.Done(), err)
				}
			}
		})
	}
}

func TestHeadsOverTheLimitAreRefused(t *testing.T) {
	for name, c := range protocols() {
		small := conn()
		small.Limit = 20
		if q := c.transport.New().Receive(small, []byte(c.head), make([]byte, 4096)); q.Err == nil || q.Vars != nil {
			t.Errorf("%s: %v", name, q.Err)
		}
	}
}

// Of what is answered without a request, only a ping is told to the log.
func TestAnswersInPlaceOfARequest(t *testing.T) {
	for name, c := range map[string]struct {
		transport  *transports.Transport
		text, note string
	}{
		"ping":         {&uwsgitransport.Transport, string(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: uwsgi.ModifierPing})), "PING"},
		"unknown role": {&fastcgi.Transport, record(1, "\x00\x03\x00\x00\x00\x00\x00\x00"), ""},
	} {
		if q := c.transport.New().Receive(conn(), []byte(c.text), make([]byte, 4096)); len(q.Answer) == 0 || q.Note != c.note {
			t.Errorf("%s: answered with %q, noted %q", name, q.Answer, q.Note)
		}
	}
}

func TestResponsesKeepWhatTheyHold(t *testing.T) {
	for name, c := range protocols() {
		if c.transport.Frame == nil {
			continue
		}
		data := strings.Repeat("0123456789", 20_000)
		framed := c.transport.End(c.transport.Frame(nil, 7, []byte(data)), 7)
		if len(framed) <= len(data) || !bytes.HasPrefix(framed, []byte{1, 6, 0, 7}) || len(c.transport.Frame(nil, 7, nil)) != 0 {
			t.Errorf("%s: %d bytes of %d", name, len(framed), len(data))
		}
	}
}

// FuzzReceive: nothing that a client sends is more than the reader allows for, or panics.
func FuzzReceive(f *testing.F) {
	all := protocols()
	for _, c := range all {
		f.Add([]byte(c.head + c.body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, c := range all {
			room := make([]byte, 1<<14)
			q := c.transport.New().Receive(conn(), data, room)
			if q.Vars == nil {
				continue
			}
			if q.HeadSize > len(data) || q.Err != nil || len(q.Vars) > len(room) {
				t.Fatalf("%s: a head of %d of %d bytes, %v", name, q.HeadSize, len(data), q.Err)
			}
			theirs := c.transport == &uwsgitransport.Transport || c.transport == &uwsgitransport.Persistent // the worker scans it
			for rest := q.Vars; len(rest) > 0 && !theirs; {
				var err error
				if _, _, rest, err = uwsgi.Next(rest); errors.Is(err, uwsgi.ErrEmptyKey) {
					break // which the worker refuses
				} else if err != nil {
					t.Fatalf("%s: %v in %q", name, err, q.Vars)
				}
			}
			if q.Body != nil {
				if _, used, _ := q.Body.Decode(nil, data[q.HeadSize:]); used > len(data)-q.HeadSize {
					t.Fatalf("%s: %d bytes of a body of %d", name, used, len(data)-q.HeadSize)
				}
			}
		}
	})
}
