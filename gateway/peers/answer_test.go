package peers

import (
	"bufio"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"envoxyd/gateway/sidecar"
	"envoxyd/protocol/m2m"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/zmq"
)

func TestResponsesBecomeReplies(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, one := range map[string]struct {
		method, response string
		err              error
		status           int
		headers          map[string]string
		payload          string
		rest             int // bytes that are left, of what follows
	}{
		"json":              {"GET", ok + "Content-Length: 7\r\nX-A: b\r\n\r\n{\"a\":1}\x06", nil, 200, map[string]string{"X-A": "b", "X-Cid": "asked"}, `{"a":1}`, 1},
		"text":              {"GET", ok + "Content-Length: 2\r\n\r\nhi\x06", nil, 200, nil, `"hi"`, 1},
		"no body":           {"HEAD", ok + "Content-Length: 2\r\n\r\n\x06", nil, 200, nil, "", 1},
		"no content":        {"GET", "HTTP/1.1 204 No Content\r\n\r\n\x06", nil, 204, nil, "", 1},
		"chunks":            {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n\x06", nil, 200, nil, "7", 1},
		"until the end":     {"GET", ok + "\r\n[1,2]", nil, 200, nil, "[1,2]", 0},
		"values are joined": {"GET", ok + "Content-Length: 0\r\nX-A: 1\r\nX-A: 2\r\n\r\n", nil, 200, map[string]string{"X-A": "1, 2"}, "", 0},
		"its own cid":       {"GET", ok + "Content-Length: 0\r\nX-Cid: mine\r\n\r\n", nil, 200, map[string]string{"X-Cid": "mine"}, "", 0},
		"no text":           {"GET", ok + "Content-Length: 1\r\n\r\n\xff", nil, 502, nil, `{"code":0,"text":"the view's response is not text"}`, 0},
		"a long head":       {"GET", ok + "X-A: " + strings.Repeat("a", sidecar.AnswerHead) + "\r\n\r\n", errTooLong, 502, nil, "", -1},
		"cut off":           {"GET", ok + "Content-Length: 9\r\n\r\n{", sidecar.ErrWorkerLost, 0, nil, "", -1},
	} {
		reply := m2m.Reply{Headers: map[string]string{"X-Cid": "asked"}}
		in := bufio.NewReaderSize(strings.NewReader(one.response), sidecar.AnswerHead)
		if err := readResponse(in, one.method, &reply); !errors.Is(err, one.err) {
			t.Errorf("%s: %v", name, err)
		}
		if reply.Status != one.status || one.payload != "" && string(reply.Payload) != one.payload {
			t.Errorf("%s: %d, %s", name, reply.Status, reply.Payload)
		}
		for key, value := range one.headers {
			if reply.Headers[key] != value {
				t.Errorf("%s: %s is %q", name, key, reply.Headers[key])
			}
		}
		if one.rest >= 0 && in.Buffered() != one.rest {
			t.Errorf("%s: %d bytes are left", name, in.Buffered())
		}
	}
}

func TestRequestsThatDoNotFitAreRefused(t *testing.T) {
	long := strings.Repeat("a", 1<<16)
	for name, one := range map[string]struct {
		method  string
		request m2m.Request
	}{
		"method":    {long, m2m.Request{Resource: "/"}},
		"path":      {"GET", m2m.Request{Resource: "/" + long}},
		"parameter": {"GET", m2m.Request{Resource: "/", Params: map[string]any{"a": long}}},
		"header":    {"GET", m2m.Request{Resource: "/", Headers: map[string]any{"X-A": long}}},
		"name":      {"GET", m2m.Request{Resource: "/", Headers: map[string]any{long: "1"}}},
	} {
		if _, err := requestVars(&one.request, one.method, 0, &zmq.Request{Peer: "192.0.2.1"}); !errors.Is(err, sidecar.ErrVars) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPrepare: whatever a peer sends, it becomes a request that a worker takes, or a reply in JSON.
func FuzzPrepare(f *testing.F) {
	for _, text := range []string{"", "{}", `{"performative": 0, "resource": "/a?b#c", "headers": {"X-Cid": 5, "\u0000": null}, "params": {"a": [1, null, {}]}, "payload": [1]}`,
		`{"performative": "2", "resource": 5}`, `{"performative": 1e9}`, `{"performative": 2, "resource": "\ud800/ä", "params": null, "payload": null}`} {
		f.Add([]byte(text), "user")
	}
	f.Fuzz(func(t *testing.T, text []byte, user string) {
		q, refusal := prepare(&zmq.Request{Text: text, User: user})
		if (q == nil) == (refusal == nil) {
			t.Fatal(q, refusal)
		}
		if refusal != nil && !json.Valid(refusal) {
			t.Errorf("%q", refusal)
		}
		if q == nil {
			return
		}
		for rest := q.vars; len(rest) > 0; {
			var err error
			if _, _, rest, err = uwsgi.Next(rest); err != nil {
				t.Fatal(err)
			}
		}
		if len(q.vars) > sidecar.MaxVars {
			t.Errorf("%d bytes of variables", len(q.vars))
		}
	})
}
