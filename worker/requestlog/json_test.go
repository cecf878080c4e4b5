package requestlog

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestJSON(t *testing.T) {
	r := example()
	r.Queue = 1_234_567
	r.Block = append(r.Block, block("HTTP_TRACEPARENT", parent)...)
	const want = `{"time":"2026-03-04T07:06:07.456+02:00","level":"info","source":"request","pid":4711,"worker":2,"core":1,` +
		`"method":"POST","uri":"/cards?n=1","protocol":"HTTP/1.1","status":201,"bytes":5,"duration_ms":333.332,"queue_ms":1.234,"remote_addr":"192.0.2.1",` +
		`"user":"ann","host":"cards.example:8080","user_agent":"curl/8","referer":"http://r/","trace_id":"0af7651916cd43dd8448eb211c80319c","parent_id":"b7ad6b7169203331",` +
		`"request_bytes":12,"io_errors":3,"logvars":{"who":"ann","break":"x\r\ny"}}` + "\n"
	line := Line{JSON: true}
	if got := string(line.Append(nil, r)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	bare := string(line.Append(nil, &Record{Status: 500, Queue: -1}))
	if !json.Valid([]byte(bare)) || !strings.Contains(bare, `"level":"error"`) || !strings.Contains(bare, `"queue_ms":0,"`) && !strings.HasSuffix(bare, `"queue_ms":0}`+"\n") {
		t.Error(bare)
	}
	room := make([]byte, 0, 2*len(want))
	if n := testing.AllocsPerRun(100, func() { line.Append(room, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestJSONIsBounded(t *testing.T) {
	r := example()
	long := []byte(strings.Repeat("\x00", 1<<15))
	r.Addr, r.Method, r.Proto, r.User, r.URI, r.Logvars = long, long, long, long, long, nil
	r.Block = block("HTTP_HOST", string(long), "HTTP_USER_AGENT", string(long), "HTTP_REFERER", string(long), "HTTP_TRACEPARENT", parent)
	for range 50 {
		r.Logvars = append(r.Logvars, block("n\x00"+strings.Repeat("x", 200), strings.Repeat("\x00", 255))...)
	}
	for _, line := range []Line{{JSON: true}, {JSON: true, Whole: true}} {
		got := line.Append(nil, r)
		if !json.Valid(got) || len(got) > 500_000 || line.Whole != (len(got) <= maxLine) {
			t.Errorf("whole %v: %d bytes, valid %v", line.Whole, len(got), json.Valid(got))
		}
	}
}

func TestTraceOf(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for field, whole := range map[string]bool{
		parent:                               true,
		"cc" + parent[2:] + "-more":          true,
		"cc" + parent[2:] + "x":              false,
		parent + "-more":                     false,
		"ff" + parent[2:]:                    false,
		parent[:54]:                          false,
		strings.ToUpper(parent):              false,
		strings.Replace(parent, "-", "_", 1): false,
		strings.Replace(parent, span, strings.Repeat("0", 16), 1):  false,
		strings.Replace(parent, trace, strings.Repeat("0", 32), 1): false,
		"": false,
	} {
		gotTrace, gotSpan := traceOf([]byte(field))
		if whole && (string(gotTrace) != trace || string(gotSpan) != span) || !whole && (gotTrace != nil || gotSpan != nil) {
			t.Errorf("%q: %q %q", field, gotTrace, gotSpan)
		}
	}
}

// What others have chosen can be read back from a record, and adds nothing to it.
func FuzzJSON(f *testing.F) {
	f.Add("GET", "/a\"b", "curl\n", "name", "value", parent)
	f.Add("\xff", "\u2028", "\\", "\"", "\x1b", "00-")
	f.Fuzz(func(t *testing.T, method, uri, agent, name, value, trace string) {
		if len(name)+len(value)+len(agent)+len(trace) > 60000 || name == "user" || name == "" || len(uri) > longestTexts[0] {
			return
		}
		r := &Record{Method: []byte(method), URI: []byte(uri), Logvars: uwsgi.AppendVar(nil, name, value),
			Block: block("HTTP_USER_AGENT", agent, "HTTP_TRACEPARENT", trace)}
		line := (&Line{JSON: true}).Append(nil, r)
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("%q: %v", line, err)
		}
		if uri != "" && got["uri"] != strings.ToValidUTF8(string([]rune(uri)), "\ufffd") {
			t.Fatalf("%q was read as %q", uri, got["uri"])
		}
		if vars := got["logvars"].(map[string]any); len(vars) != 1 || !reflect.DeepEqual(vars, map[string]any{string([]rune(name)): string([]rune(value))}) {
			t.Fatalf("%q=%q was read as %q", name, value, vars)
		}
	})
}
