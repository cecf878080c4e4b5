package logging

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 5e6, time.UTC)

func TestObjects(t *testing.T) {
	worker := sender{"worker", 2}
	const head = `{"time":"2026-03-04T12:00:00.005Z","level":"info","source":"app","pid":7,"worker":2`
	for name, c := range map[string]struct {
		r    record
		who  sender
		want string
	}{
		"a line":           {record{text: []byte("hello\n")}, worker, head + `,"msg":"hello"}`},
		"half a line":      {record{text: []byte("hel")}, worker, head + `,"msg":"hel","partial":true}`},
		"several lines":    {record{text: []byte("a\nb\n")}, worker, head + `,"msg":"a\nb"}`},
		"nothing":          {record{text: []byte("\n")}, worker, head + `,"msg":""}`},
		"bytes":            {record{text: []byte("\"\\\x00\x1b[1m\xff\u2028\n")}, worker, head + `,"msg":"\"\\\u0000\u001b[1m` + "\ufffd" + `\u2028"}`},
		"a child's":        {record{text: []byte("hello\n")}, sender{}, strings.Replace(head, `,"worker":2`, "", 1) + `,"msg":"hello"}`},
		"a mule's":         {record{text: []byte("hello\n")}, sender{"mule", 1}, strings.Replace(head, `"worker":2`, `"mule":1`, 1) + `,"msg":"hello"}`},
		"the server's":     {record{text: []byte("hello\n"), kind: own}, worker, strings.Replace(head, `"app"`, `"worker"`, 1) + `,"msg":"hello"}`},
		"about a request":  {record{text: []byte("GET /\n"), kind: request}, worker, strings.Replace(head, `"app"`, `"request"`, 1) + `,"msg":"GET /"}`},
		"an object":        {record{text: []byte(`{"a": 1, "b":[{"time":2}]}` + "\n")}, worker, head + `,"a":1,"b":[{"time":2}]}`},
		"an empty object":  {record{text: []byte("{ }\n")}, worker, head + "}"},
		"with a message":   {record{text: []byte(`{"message":"x\"}"}` + "\n")}, worker, head + `,"msg":"x\"}","message":"x\"}"}`},
		"on several lines": {record{text: []byte("{\"a\":\n 1,\n \"b\":\t\"c d\"}\n")}, worker, head + `,"a":1,"b":"c d"}`},
		"with ours": {record{text: []byte(`{"msg":"m","time":"2020-01-01T00:00:00Z","level":"WARN","pid":7,"worker":2,"source":"app"}` + "\n")}, worker,
			`{"time":"2020-01-01T00:00:00Z","level":"warning","source":"app","pid":7,"worker":2,"msg":"m"}`},
		"with others under our names": {record{text: []byte(`{"msg":1,"time":"noon","level":"odd","pid":1,"worker":"w","source":"master","sour\u0063e":"x"}` + "\n")}, worker,
			head + `,"app_msg":1,"app_time":"noon","app_level":"odd","app_pid":1,"app_worker":"w","app_source":"master","app_source":"x"}`},
		"twice": {record{text: []byte(`{"msg":"a","msg":"b","level":3,"level":4}` + "\n")}, worker,
			strings.Replace(head, "info", "error", 1) + `,"msg":"a","app_msg":"b","app_level":4}`},
		"not UTF-8":        {record{text: []byte("{\"a\":\"\xff\"}\n")}, worker, head + `,"a":"` + "\ufffd" + `"}`},
		"no object":        {record{text: []byte(`{"a":1} {}` + "\n")}, worker, head + `,"msg":"{\"a\":1} {}"}`},
		"an object's half": {record{text: []byte(`{"a":` + "\n")}, worker, head + `,"msg":"{\"a\":"}`},
	} {
		t.Run(name, func(t *testing.T) {
			c.r.at, c.r.pid, c.r.source = noon, 7, sourceApp
			if got := string(appendObject(nil, &c.r, c.who)); got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestLinesThatAreObjectsAreRecordsOfTheirOwn(t *testing.T) {
	for text, want := range map[string][]string{
		"a\nb\n":                     {"a\nb\n"},
		"{}\n":                       {"{}\n"},
		"a\n{}\nb\nc\n{\"d\":1}\n{}": {"a\n", "{}\n", "b\nc\n", "{\"d\":1}\n", "{}"},
		"{\n\"a\":1\n}\n":            {"{\n\"a\":1\n}\n"},
		"{}\nrest":                   {"{}\n", "rest"},
	} {
		var got []string
		splitObjects(&record{text: []byte(text)}, func(r *record) { got = append(got, string(r.text)) })
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestLevels(t *testing.T) {
	for text, want := range map[string]string{
		"hello":                              levelInfo,
		"ERROR:root:bad":                     levelError,
		"2026-03-04 12:00:00,1 WARNING x: y": levelWarning,
		"[DEBUG] x":                          levelDebug,
		"CRITICAL":                           levelCritical,
		"ERRORS":                             levelInfo,
		"an error":                           levelInfo,
		"x\nTraceback (most recent call last):\n  File": levelError,
		strings.Repeat("x", levelText) + " ERROR":       levelInfo,
	} {
		if got := levelOf(&record{text: []byte(text)}); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := levelOf(&record{text: []byte("DAMN ! worker 1 died"), kind: own}); got != levelError {
		t.Errorf("the server's: %s", got)
	}
	for value, want := range map[string]string{`"Error"`: levelError, "7": levelDebug, "6": levelInfo, "3": levelError, "0": levelCritical, "20": levelInfo,
		"40": levelError, "50": levelCritical, "51": "", `"loud"`: "", "null": "", "1.5": "", `""`: ""} {
		if got, ok := levelNamed([]byte(value)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", value, got, ok)
		}
	}
}

// Whatever is written, each record is an object of JSON on one line that says who wrote it.
func FuzzObjects(f *testing.F) {
	for _, text := range []string{"a\n", "{\"a\":1}\n{", "{\"source\":\"master\",\"pid\":\"\\u0031\"}\n", "\xff\x00\n", "{\"a\":{\"b\":[1,2 ,\"}\"]}, \"level\":50}", "{\n}\n{\"a\":\"\\\"\"}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		splitObjects(&record{text: text, at: noon, source: sourceApp, pid: 7}, func(r *record) {
			line := appendObject(nil, r, sender{"worker", 2})
			var got struct {
				Time, Level, Source *string
				PID, Worker         *int
			}
			if strings.Count(string(line), "\n") != 1 || !utf8.Valid(line) || !json.Valid(line) {
				t.Fatalf("%q became %q", text, line)
			}
			first := line[:strings.Index(string(line), `,"worker":2`)+11] // names in other letters would overwrite ours here
			if err := json.Unmarshal(append(first[:len(first):len(first)], '}'), &got); err != nil || got.Time == nil || got.Level == nil || got.Source == nil || *got.Source != sourceApp || *got.PID != 7 || *got.Worker != 2 {
				t.Fatalf("%q became %q: %v", text, line, err)
			}
			members(line[:len(line)-1], func(key string, _, value []byte) {
				if key == "source" && string(value) != `"app"` || !json.Valid(value) {
					t.Fatalf("%q became %q", text, line)
				}
			})
		})
	})
}
