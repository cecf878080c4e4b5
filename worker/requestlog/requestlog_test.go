package requestlog

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/logdate"
	"envoxyd/protocol/uwsgi"
)

var update = flag.Bool("update", false, "write what is found into the golden file")

func init() { time.Local = time.FixedZone("TEST", 2*3600) } // dates in the lines are local

// block is a variable block of pairs.
func block(pairs ...string) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		b = uwsgi.AppendVar(b, pairs[i], pairs[i+1])
	}
	return b
}

// example is a request with something in every field.
func example() *Record {
	return &Record{
		PID: 4711, Worker: 2, Core: 1, App: 0, AppRequests: 7, Total: 19,
		Addr: []byte("192.0.2.1"), User: []byte("ann"), Method: []byte("POST"), URI: []byte("/cards?n=1"), Proto: []byte("HTTP/1.1"),
		Block: block("HTTP_HOST", "cards.example:8080", "SERVER_NAME", "host1", "HTTP_USER_AGENT", "curl/8", "HTTP_REFERER", "http://r/",
			"HTTP_X_ID", "42", "HTTP_X_ID", "43", "HTTP_X_EMPTY", "", "HTTP_X_BREAK", "a\nb\x7f"),
		Vars: 8, Logvars: block("who", "first", "who", "ann", "break", "x\r\ny"),
		Start: 1772600767_123456789, End: 1772600767_456789123, Status: 201, Headers: 3, HeadSize: 88, Sent: 5, ContentLength: 12,
		Switches: 2, WriteErrors: 1, ReadErrors: 2, Modifier1: 30, Modifier2: 4,
		VSZ: 5 << 30, RSS: 40<<20 + 1, USS: 10 << 20, PSS: 20 << 20,
	}
}

func TestOwnLine(t *testing.T) {
	static := example()
	static.App, static.Switches, static.Via = -1, 0, " via sendfile()"
	long := example()
	long.URI = []byte("/" + strings.Repeat("x", maxLine))
	split := example()
	split.URI = []byte("/a\n[pid: 1|app: 0|req: 1/1]")
	const tail = " (HTTP/1.1 201) 3 headers in 88 bytes (2 switches on core 1)\n"
	const date = "{16 vars in 167 bytes} [Wed Mar  4 07:06:07 2026] "
	for name, c := range map[string]struct {
		line Line
		r    *Record
		want string
	}{
		"plain":  {Line{}, example(), "[pid: 4711|app: 0|req: 7/19] 192.0.2.1 (ann) " + date + "POST /cards?n=1 => generated 5 bytes in 333 msecs" + tail},
		"micros": {Line{Micros: true}, example(), "[pid: 4711|app: 0|req: 7/19] 192.0.2.1 (ann) " + date + "POST /cards?n=1 => generated 5 bytes in 333332 micros" + tail},
		"static": {Line{}, static, "[pid: 4711|app: -1|req: -1/19] 192.0.2.1 (ann) " + date +
			"POST /cards?n=1 => generated 5 bytes in 333 msecs via sendfile() (HTTP/1.1 201) 3 headers in 88 bytes (0 switches on core 1)\n"},
		"too long":     {Line{}, long, "[pid: 4711|app: 0|req: 7/19] 0.0.0.0 (ann) " + date + "- - => generated 5 bytes in 333 msecs" + tail},
		"a line break": {Line{}, split, "[pid: 4711|app: 0|req: 7/19] 192.0.2.1 (ann) " + date + `POST /a\x0a[pid: 1|app: 0|req: 1/1] => generated 5 bytes in 333 msecs` + tail},
		"memory and host": {Line{Memory: 1, Host: true}, example(), "{address space usage: 5368709120 bytes/5120MB} {rss usage: 41943041 bytes/40MB} cards.example:8080 " +
			"[pid: 4711|app: 0|req: 7/19] 192.0.2.1 (ann) " + date + "POST /cards?n=1 => generated 5 bytes in 333 msecs" + tail},
		"all memory": {Line{Memory: 2}, example(), "{address space usage: 5368709120 bytes/5120MB} {rss usage: 41943041 bytes/40MB} " +
			"{uss usage: 10485760 bytes/10MB} {pss usage: 20971520 bytes/20MB} " +
			"[pid: 4711|app: 0|req: 7/19] 192.0.2.1 (ann) " + date + "POST /cards?n=1 => generated 5 bytes in 333 msecs" + tail},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(c.line.Append(nil, c.r)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// testdata/formats.txt has formats, each followed by its line about example().
func TestFormats(t *testing.T) {
	name := filepath.Join("testdata", "formats.txt")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	date, err := logdate.Parse("%Y/%m/%d")
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		got := string(Compile(lines[i], &date).Append(nil, example()))
		if got != lines[i+1]+"\n" && !*update {
			t.Errorf("%s\ngot  %swant %s", lines[i], got, lines[i+1])
		}
		found.WriteString(lines[i] + "\n" + got)
	}
	if *update {
		if err := os.WriteFile(name, []byte(found.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What others have chosen cannot end a string of a line of JSON.
func TestFormatsOfJSON(t *testing.T) {
	r := example()
	r.User, r.URI = []byte(`a"b`), []byte("/\\\"}\n\x1b\xff\u2028")
	r.Block = append(r.Block, block("HTTP_X_QUOTE", `","admin":"1`)...)
	const format = ` {"user": "%(user)", "of": {"uri":"%(method) %(uri)"},"list": ["%(var.HTTP_X_QUOTE)", "%(break)"], "secs": %(secs), "no": "%(nothing)"}`
	line := Compile(format, nil).Append(nil, r)
	var got struct {
		User, No string
		Of       struct{ URI string }
		List     []string
		Secs     float64
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if got.User != `a"b` || got.Of.URI != "POST /\\\"}\n\x1b\ufffd\u2028" || got.List[0] != `","admin":"1` || got.List[1] != "x\r\ny" || got.No != "-" {
		t.Errorf("%s is read as %+v", line, got)
	}
	for _, other := range []string{`"%(user)"`, `{"a": %(user)`, `%(uri) {"user": "%(user)"}`, `{%(user)}`} {
		if got := string(Compile(other, nil).Append(nil, r)); !strings.Contains(got, `a"b`) {
			t.Errorf("%s is no JSON, but makes %s", other, got)
		}
	}
}

func TestUserIsWhatTheApplicationSays(t *testing.T) {
	for _, tt := range []struct{ logvars, want string }{{"", "ann\n"}, {"eve", "eve\n"}} {
		r := example()
		r.Logvars = block("user", tt.logvars)
		if got := string(Compile("%(user)", nil).Append(nil, r)); got != tt.want {
			t.Errorf("with %q: %q, want %q", tt.logvars, got, tt.want)
		}
	}
}

func TestNew(t *testing.T) {
	const format = " %(ftime)"
	for name, c := range map[string]struct {
		strftime   bool
		date, want string
	}{
		"as ltime":           {false, "%Y", " 04/Mar/2026:07:06:07 +0200\n"},
		"strftime alone":     {true, "", " 04/Mar/2026:07:06:07 +0200\n"},
		"strftime and ctime": {true, "true", " 04/Mar/2026:07:06:07 +0200\n"},
		"both":               {true, "%Y", " 2026\n"},
	} {
		line, err := New(format, c.strftime, c.date)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := string(line.Append(nil, example())); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if _, err := New(format, true, "%!"); err == nil {
		t.Error("a date that is no strftime format was taken")
	}
	if line, err := New("", false, ""); err != nil || line.Format != nil {
		t.Errorf("without a format: %v, %v", line.Format, err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	date, err := logdate.Parse("%Y-%m-%d")
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]*Line{
		"own":    {Memory: 2, Host: true},
		"format": {Format: Compile("%(addr) %(status) %(secs) %(ltime) %(ftime) %(var.HTTP_X_ID) %(who) %(host)", &date)},
		"json":   {Format: Compile(`{"user": "%(user)", "uri": "%(uri)", "break": "%(break)"}`, &date)},
	} {
		r, room := example(), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { room = line.Append(room[:0], r) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("%(uri) 100% %%(status) %(", "/x", "k")
	f.Fuzz(func(t *testing.T, format, uri, name string) {
		if len(name) == 0 || len(name) > 255 || len(uri) > 60000 {
			t.Skip()
		}
		r := example()
		r.URI, r.Logvars = []byte(uri), block(name, uri)
		text := string(Compile(format, nil).Append(nil, r))
		if !strings.HasSuffix(text, "\n") {
			t.Fatalf("%q: the line has no end: %q", format, text)
		}
		if strings.Count(text, "\n") > 1+strings.Count(format, "\n") {
			t.Fatalf("%q: more line breaks than the format has: %q", format, text)
		}
	})
}
func TestMetricsOfALine(t *testing.T) {
	r := &Record{Metric: func(name string) (int64, bool) { return -7, name == "hits" }}
	f := Compile("%(metric.hits) %(metric.none)", nil)
	if got := string(f.Append(nil, r)); got != "-7 -\n" {
		t.Errorf("%q", got)
	}
	r.Metric = nil
	if got := string(f.Append(nil, r)); got != "- -\n" {
		t.Errorf("without metrics: %q", got)
	}
}
