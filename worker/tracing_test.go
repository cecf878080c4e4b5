package worker

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routespec"
	"envoxyd/internal/socketpair"
	"envoxyd/internal/tracing"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
)

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
	caller      = "00-" + callerTrace + "-" + callerSpan + "-01"
)

// recorded has a worker make spans, and returns where their records come out: nil when there is none.
func recorded(t *testing.T, sampler tracing.Sampler) (change func(*workerspec.Spec), exported func() *tracing.Span) {
	t.Helper()
	fds, err := socketpair.Messages()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	change = func(spec *workerspec.Spec) { spec.Tracing = &workerspec.Tracing{FD: fds[0], Sampler: sampler} }
	return change, func() *tracing.Span {
		t.Helper()
		record := make([]byte, tracing.MaxRecord)
		n, _, err := unix.Recvfrom(fds[1], record, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		span, err := tracing.ParseRecord(record[:n])
		if err != nil {
			t.Fatal(err)
		}
		return &span
	}
}

// tracedStage is a stage whose worker makes spans, and where their records come out.
func tracedStage(t *testing.T, protocol string, sampler tracing.Sampler) (*stage, func() *tracing.Span) {
	t.Helper()
	change, exported := recorded(t, sampler)
	return newStage(t, protocol, change), exported
}

// done answers the request in hand, and has the core find the next one, of another connection.
func (s *stage) done(next string) map[string]string {
	s.Helper()
	s.answer(okReply)
	s.send(s.connect(), next)
	vars, _ := s.request()
	return vars
}

func TestTheContextOfTheSpanIsTheOneThatTheApplicationSees(t *testing.T) {
	packet := func(vars ...string) string {
		var block []byte
		for i := 0; i < len(vars); i += 2 {
			block = uwsgi.AppendVar(block, vars[i], vars[i+1])
		}
		return string(append(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)}), block...)) + "body"
	}
	for _, c := range []struct {
		name, protocol, request, parent, state string
	}{
		{"http, a root", "http", "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", "", ""},
		{"http, a root with the state of nobody", "http", "GET /p HTTP/1.1\r\nHost: h\r\ntracestate: a=1\r\nX-After: 1\r\n\r\n", "", ""},
		{"http, a child", "http", "GET /p HTTP/1.1\r\nHost: h\r\ntraceparent: " + caller + "\r\ntracestate: a=1\r\n\r\n", caller, "a=1"},
		{"http, a later version", "http", "GET /p HTTP/1.1\r\nHost: h\r\ntraceparent: cc" + caller[2:] + "-x\r\ntracestate: a=1\r\n\r\n", caller, "a=1"},
		{"http, malformed", "http", "GET /p HTTP/1.1\r\nHost: h\r\ntraceparent: " + caller[1:] + "\r\n\r\n", "", ""},
		{"uwsgi, a root", "uwsgi", packet("REQUEST_METHOD", "GET", "PATH_INFO", "/p", "CONTENT_LENGTH", "4"), "", ""},
		{"uwsgi, a child", "uwsgi", packet("REQUEST_METHOD", "GET", "HTTP_TRACEPARENT", caller, "PATH_INFO", "/p", "CONTENT_LENGTH", "4"), caller, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, exported := tracedStage(t, c.protocol, tracing.Sampler{Ratio: 1})
			s.send(s.connect(), c.request)
			vars, body := s.request()
			if c.protocol == "uwsgi" && body != "body" {
				t.Fatalf("the body became %q", body)
			}
			seen, ok := tracing.Parse([]byte(vars["HTTP_TRACEPARENT"]))
			if !ok || vars["PATH_INFO"] != "/p" || vars["HTTP_TRACESTATE"] != c.state {
				t.Fatalf("the application sees %v", vars)
			}
			if strings.Contains(c.request, "X-After") && vars["HTTP_X_AFTER"] != "1" {
				t.Fatal("another header was lost")
			}
			s.done(c.request)
			span := exported()
			if span == nil || span.Context != seen || string(span.State) != c.state || span.Kind != tracing.Server || span.Failed || string(span.Name) != "GET" {
				t.Fatalf("%+v", span)
			}
			parent, child := tracing.Parse([]byte(c.parent))
			if span.Parent != parent.Span || child != (span.Trace == parent.Trace) {
				t.Errorf("%+v is no child of %q", span, c.parent)
			}
			if exported() != nil {
				t.Error("there are two spans")
			}
		})
	}
}

func TestVariablesGrowOnlyWhereNothingOfTheRequestIs(t *testing.T) {
	packet := func(body string) string {
		block := uwsgi.AppendVar(uwsgi.AppendVar(nil, "REQUEST_METHOD", "GET"), "PATH_INFO", "/p")
		if body != "" {
			block = uwsgi.AppendVar(block, "CONTENT_LENGTH", strconv.Itoa(len(body)))
		}
		return string(append(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)}), block...)) + body
	}
	const header = "GET /p HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, protocol, requests, body string
		copied                         bool // of the first request
	}{
		{"http", "http", header, "", false},
		{"http, another request behind it", "http", header + header, "", false},
		{"uwsgi", "uwsgi", packet(""), "", false},
		{"uwsgi, a body", "uwsgi", packet("body"), "body", true},
		{"uwsgi, another request behind it", "puwsgi", packet("") + packet(""), "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := tracedStage(t, c.protocol, tracing.Sampler{Ratio: 1})
			s.send(s.connect(), c.requests)
			for i := range strings.Count(c.requests, "/p") {
				vars, body := s.request()
				if _, ok := tracing.Parse([]byte(vars["HTTP_TRACEPARENT"])); !ok || vars["PATH_INFO"] != "/p" || body != c.body {
					t.Fatalf("the application sees %v and %q", vars, body)
				}
				if copied := unsafe.Pointer(s.slot.io.vars) == unsafe.Pointer(&s.slot.traced.vars[0]); i == 0 && copied != c.copied {
					t.Errorf("the variables were copied: %v", copied)
				}
				s.answer(okReply)
			}
		})
	}
}

func TestARequestThatComesSlowlyHasASpan(t *testing.T) {
	s, exported := tracedStage(t, "http", tracing.Sampler{Ratio: 1})
	body := strings.Repeat("x", 2*inputSize)
	c := s.connect()
	go func() {
		_, _ = c.Write([]byte("POST /p HTTP/1.1\r\nHost: h\r\ntraceparent: " + caller + "\r\nContent-Length: 131072\r\n\r\n" + body))
	}()
	vars, got := s.request()
	seen, ok := tracing.Parse([]byte(vars["HTTP_TRACEPARENT"]))
	if !ok || got != body || vars["HTTP_TRACEPARENT"] == caller {
		t.Fatalf("the application sees %v", vars)
	}
	s.done(get)
	parent, _ := tracing.Parse([]byte(caller))
	if span := exported(); span == nil || span.Context != seen || span.Parent != parent.Span {
		t.Errorf("%+v", span)
	}
}

func TestAPostponedRequestKeepsItsSpan(t *testing.T) {
	change, exported := recorded(t, tracing.Sampler{Ratio: 0})
	all := threadsOf(t, 2, func(spec *workerspec.Spec) {
		spec.Routes = []routespec.Rule{{Option: "route", Value: "^/ruled return:410"}}
		change(spec)
	})
	oneWaits(all)
	all[1].send(all[1].connect(), "GET /app HTTP/1.1\r\nHost: h\r\ntraceparent: "+caller+"\r\n\r\n")
	all[1].isPostponed(1)
	answered(all[1])
	all[0].answer(okReply)
	all[0].goOn()
	taker := firstOf(all)
	vars, _ := taker.inHand()
	taker.answer(okReply)
	taker.goOn()
	stop(all)
	span := exported() // of the only request that is sampled
	if span == nil || string(span.Context.Append(nil)) != vars["HTTP_TRACEPARENT"] || exported() != nil {
		t.Errorf("the application saw %v; the span is %+v", vars, span)
	}
}

func TestAttributesOfASpan(t *testing.T) {
	s, exported := tracedStage(t, "http", tracing.Sampler{Ratio: 1})
	s.send(s.connect(), "GET /p?q HTTP/1.1\r\nHost: [::1]:8443\r\nUser-Agent: test\r\n\r\n")
	s.request()
	s.answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
	s.slot.io.status = 500
	s.send(s.connect(), get)
	s.request()
	span := exported()
	if span == nil || !span.Failed {
		t.Fatalf("%+v", span)
	}
	got := map[tracing.Attribute]string{}
	for key, value := range span.Attributes {
		got[key] = string(value)
	}
	for key, want := range map[tracing.Attribute]string{
		tracing.Method: "GET", tracing.Path: "/p", tracing.Scheme: "http", tracing.ServerAddress: "::1", tracing.ServerPort: "8443",
		tracing.ClientAddress: "127.0.0.1", tracing.UserAgent: "test", tracing.Protocol: "HTTP/1.1", tracing.StatusCode: "500",
		tracing.ErrorType: "500", tracing.WorkerID: "1",
	} {
		if got[key] != want {
			t.Errorf("attribute %d is %q, want %q", key, got[key], want)
		}
	}
}

func TestWhatIsNotSampledIsNotSent(t *testing.T) {
	s, exported := tracedStage(t, "http", tracing.Sampler{Ratio: 0})
	s.send(s.connect(), get)
	vars, _ := s.request()
	if seen, ok := tracing.Parse([]byte(vars["HTTP_TRACEPARENT"])); !ok || seen.IsSampled() {
		t.Errorf("the application sees %v", vars)
	}
	s.done(get)
	if span := exported(); span != nil {
		t.Errorf("%+v", span)
	}
}

func TestSpansOfMessages(t *testing.T) {
	s, exported := tracedStage(t, "http", tracing.Sampler{Ratio: 1})
	call := func(operation int, payload string) (reply string, err error) {
		err = s.w.tracer.ofMessage(1, operation, []byte(payload), func(data []byte) { reply = string(data) })
		return reply, err
	}
	begun, err := call(beginSpan, caller)
	own, ok := tracing.Parse([]byte(begun))
	if err != nil || !ok || begun[:36] != caller[:36] || begun == caller {
		t.Fatalf("%q, %v", begun, err)
	}
	if root, err := call(beginSpan, "nonsense"); err != nil || len(root) != tracing.Size || root[3:35] == callerTrace {
		t.Errorf("%q, %v", root, err)
	}
	for _, wrong := range []string{"", "{}", `{"traceparent": "x"}`} {
		if _, err := call(endSpan, wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	if _, err := call(endSpan, `{"traceparent": "`+begun+`", "parent": "`+caller+`", "topic": "/a", "server": "b", "nanos": 7, "failed": true}`); err != nil {
		t.Fatal(err)
	}
	span := exported()
	parent, _ := tracing.Parse([]byte(caller))
	if span == nil || span.Context != own || span.Parent != parent.Span || span.Kind != tracing.Consumer || string(span.Name) != "process /a" ||
		span.Nanos != 7 || !span.Failed {
		t.Errorf("%+v", span)
	}
	if _, err := call(3, ""); err == nil {
		t.Error("an operation that there is not was carried out")
	}
}

func TestADeliveryOfMessagesIsNoSpanOfItsOwn(t *testing.T) {
	for kind, want := range map[string]bool{"mqtt": true, "timer": false, "zmq": false} {
		vars := uwsgi.AppendVar(uwsgi.AppendVar(nil, "REQUEST_METHOD", "EVENT"), "ENVOXYD_EVENT", kind)
		if got := isMessages(vars); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
