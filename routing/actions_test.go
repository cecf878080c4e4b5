package routing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"envoxyd/protocol/uwsgi"
)

func TestAnswers(t *testing.T) {
	closing := []string{"Connection: close", "Content-Type: text/plain"}
	plain := func(n int) []string {
		return []string{"Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", n)}
	}
	for _, c := range []struct {
		rule    string
		status  string
		headers []string
		body    string
	}{
		{"route-run = break:403 Forbidden", "403 Forbidden", closing, ""},
		{"route-run = break:404", "404 Not Found", closing, ""},
		{"route-run = break:999", "999 Unknown", closing, ""},
		{"route-run = break:403  Two", "403  Two", closing, ""},
		{"route = ^/(.*) break:403 No $1", "403 No ab", closing, ""},
		{"route-run = break:${NONE}", "500 Internal Server Error", closing, "Internal Server Error"},
		{"route-run = break:40${qs[x]} ${CRLF}", "401 a", closing, ""},
		{"route-run = return:410", "410 Gone", plain(4), "Gone"},
		{"route-run = return:404 Custom Text", "404 Custom Text", plain(11), "Custom Text"},
		{"route-run = break-with-status:403", "403 Forbidden", plain(9), "Forbidden"},
		{"route-run = redirect:http://x${REQUEST_URI}", "302 Found", []string{"Location: http://x/ab?x=1&y=2"}, "Moved"},
		{"route-run = redirect-302:", "302 Found", []string{"Location: "}, "Moved"},
		{"route-run = redirect:a b", "302 Found", []string{"Location: a b"}, "Moved"},
		{"route-run = redirect:/${CRLF}", "302 Found", []string{"Location: /a%0D%0AX-Evil:%091"}, "Moved"},
		{"route-run = redirect-301:/y", "301 Moved Permanently", []string{"Location: /y"}, "Moved Permanently"},
		{"route-run = redirect-permanent:/${qs[x]}", "301 Moved Permanently", []string{"Location: /1"}, "Moved Permanently"},
		{"route-run = static:/absent", "404 Not Found", closing, "Not Found"},
		{"route-run = http:${NONE}", "502 Bad Gateway", closing, "Bad Gateway"},
		{"route-run = http:${CRLF}", "502 Bad Gateway", closing, "Bad Gateway"},
		{"route-run = rpc:hello ${PATH_INFO} b", "200 OK", []string{"Content-Length: 12"}, "hello(/ab|b)"},
		{`route-run = call:hello a "b c"`, "200 OK", []string{"Content-Length: 14"}, `hello(a|"b|c")`},
		{"route-run = rpc:none", "500 Internal Server Error", closing, "Internal Server Error"},
		{"route-run = rpcnext:f a\nroute-run = rpcblob:g\nroute-run = addvar:A=1", "200 OK", []string{"Connection: close"}, "f(a)g()"},
		{"route-run = rpcnext:f\nroute-run = break:403", "200 OK", []string{"Connection: close"}, "f()"},
	} {
		_, v, _ := run(t, c.rule, request("CRLF", "a\r\nX-Evil:\t1"))
		if v.Kind != Break || v.Answer.Status != c.status || !slices.Equal(v.Answer.Headers, c.headers) || string(v.Answer.Body) != c.body {
			t.Errorf("%s: %+v %+v", c.rule, v, v.Answer)
		}
		if v.Kind == Break && v.Answer.Close != slices.Contains(v.Answer.Headers, "Connection: close") {
			t.Errorf("%s: closes, or does not, but says otherwise", c.rule)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		rules string
		want  map[string]string // "-": there is none
	}{
		{"route-run = addvar:A=b", map[string]string{"A": "b"}},
		{"route-run = addvar:A=", map[string]string{"A": ""}},
		{"route-run = addvar:A=b=c", map[string]string{"A": "b=c"}},
		{"route-run = addvar:A=1\nroute-run = addvar:A=2", map[string]string{"A": "2"}},
		{"route-run = addvar:A=1\nroute-run = addvar:B=${A}${A}\nroute-run = addvar:A=${B}x", map[string]string{"A": "11x", "B": "11"}},
		{"route-run = addvar:QUERY_STRING=z", map[string]string{"QUERY_STRING": "z"}},
		{"route-run = setuser:u\nroute-remote-user = ^u$ addvar:SEEN=1", map[string]string{"REMOTE_USER": "u", "SEEN": "1"}},
		{"route-run = setapp:a\nroute-run = setfile:f\nroute-run = setscriptname:/s\nroute-run = setmethod:PUT\nroute-run = seturi:/u",
			map[string]string{"UWSGI_APPID": "a", "UWSGI_FILE": "f", "SCRIPT_NAME": "/s", "REQUEST_METHOD": "PUT", "REQUEST_URI": "/u", "PATH_INFO": "/ab"}},
		{"route-run = setremoteaddr:1.2.3.4\nroute-run = setpathinfo:/a%20b\nroute-run = setdocroot:/d\nroute-run = setscheme:https",
			map[string]string{"REMOTE_ADDR": "1.2.3.4", "PATH_INFO": "/a%20b", "DOCUMENT_ROOT": "/d", "UWSGI_SCHEME": "https"}},
		{"route-run = setscriptname:/a\nroute-run = fixpathinfo:", map[string]string{"PATH_INFO": "b"}},
		{"route-run = setscriptname:/x\nroute-run = fixpathinfo:", map[string]string{"PATH_INFO": "/ab"}},
		{"route-run = fixpathinfo:", map[string]string{"PATH_INFO": "/ab"}},

		{"route-run = addvar:N=20\nroute-run = +:N", map[string]string{"N": "21"}},
		{"route-run = addvar:N=20\nroute-run = +:N,-23", map[string]string{"N": "-3"}},
		{"route-run = addvar:N=20\nroute-run = -:N,${N}", map[string]string{"N": "0"}},
		{"route-run = addvar:N=20\nroute-run = *:N,3", map[string]string{"N": "60"}},
		{"route-run = addvar:N=20\nroute-run = /:N,3", map[string]string{"N": "6"}},
		{"route-run = addvar:N=20\nroute-run = /:N,0", map[string]string{"N": "0"}},
		{"route-run = +:N,x", map[string]string{"N": "0"}},

		{"route-run = rewrite:/p", map[string]string{"PATH_INFO": "/p", "QUERY_STRING": "x=1&y=2", "REQUEST_URI": "/ab?x=1&y=2"}},
		{"route-run = rewrite:/p?a=b", map[string]string{"PATH_INFO": "/p", "QUERY_STRING": "a=b&x=1&y=2"}},
		{"route-run = addvar:QUERY_STRING=\nroute-run = rewrite:/p?a=b", map[string]string{"QUERY_STRING": "a=b"}},
		{"route-run = rewrite:/p?", map[string]string{"QUERY_STRING": "&x=1&y=2"}},
		{"route-run = rewrite:/p?a?b", map[string]string{"PATH_INFO": "/p", "QUERY_STRING": "a?b&x=1&y=2"}},
		{"route-run = rewrite:p q", map[string]string{"PATH_INFO": "p q"}},
		{"route-run = rewrite:/%41%zz%4", map[string]string{"PATH_INFO": "/A%zz%4"}},
		{"route-run = rewrite:/a/../b/./c/..", map[string]string{"PATH_INFO": "/b/"}},
		{"route-run = rewrite:/../../b//c/.x/..y", map[string]string{"PATH_INFO": "/b//c/.x/..y"}},
		{"route-run = rewrite:/a/%2e%2e/b", map[string]string{"PATH_INFO": "/b"}},
		// What was read already is not read twice; what was not, is.
		{"route-run = addvar:PATH_INFO=/q?r%2e/#\nroute = (.*) rewrite:$1", map[string]string{"PATH_INFO": "/q?r%2e/#", "QUERY_STRING": "x=1&y=2"}},
		{"route-run = addvar:PATH_INFO=a b%\nroute = (.*) rewrite:/z?p=$1", map[string]string{"PATH_INFO": "/z", "QUERY_STRING": "p=a%20b%25&x=1&y=2"}},
		{"route-run = seturi:/foo/a%20b?x=1\nroute-uri = ^/foo(/.*) rewrite:$1", map[string]string{"PATH_INFO": "/a b", "QUERY_STRING": "x=1&x=1&y=2"}},
		{"route-run = seturi:/a%3Fb\nroute-run = rewrite:${REQUEST_URI}", map[string]string{"PATH_INFO": "/a?b", "QUERY_STRING": "x=1&y=2"}},

		{"route-run = hash:key=/a,items=x;y;z,var=H", map[string]string{"H": "z"}},
		{"route-run = hash:key=/a2,items=x;y;z,var=H", map[string]string{"H": "y"}},
		{"route-run = hash:key=/a3,items=x;y;z,var=H,algo=djb33x", map[string]string{"H": "x"}},
		{"route-run = hash:key=/b1,items=x;y;z,var=H,algo=murmur2", map[string]string{"H": "x"}},
		{"route-run = hash:key=/b2,items=x;y;z,var=H,algo=murmur2", map[string]string{"H": "z"}},
		{"route-run = hash:key=/b3,items=x;y;z,var=H,algo=murmur2", map[string]string{"H": "z"}},
		{"route-run = hash:key=k,items=one,var=H,algo=rand", map[string]string{"H": "one"}},
		{"route-run = hash:key=k,items=a;b,var=H,algo=rr", map[string]string{"H": "a"}},

		{"route-run = rpcvar:V hello a ${HTTP_HOST}", map[string]string{"V": "hello(a|h.example)"}},
		{"route-run = rpcvar:V none", map[string]string{"V": ""}},
		{"route-run = rpcret:hello\nroute-run = addvar:V=1", map[string]string{"V": "-"}},
	} {
		r, v, _ := run(t, c.rules, request())
		got := variables(t, r.Block())
		for name, want := range c.want {
			if value, found := got[name]; value != want && (found || want != "-") {
				t.Errorf("%q: %s=%q, want %q", c.rules, name, value, want)
			}
		}
		if v.Kind.Ends() {
			t.Errorf("%q: %+v", c.rules, v)
		}
	}
}

// The remainders by 97 are what uWSGI 2.0.30 chooses among 97 items.
func TestMurmur2ChoosesAsUWSGIDoes(t *testing.T) {
	for key, want := range map[string]uint32{"abcd": 51, "abcde": 31, "abcdef": 34, "abcdefg": 24, "abcdefgh": 0, "/status/200": 11, "/status/200?q=1": 30, "/ab?q=1": 2} {
		if got := murmur2([]byte(key)) % 97; got != want {
			t.Errorf("%s: %d, uWSGI has %d", key, got, want)
		}
	}
}

func TestTheBlockIsTheCallersUntilAVariableChanges(t *testing.T) {
	block := request()
	before := slices.Clone(block)
	r, _, _ := run(t, "route-run = addheader:X: ${PATH_INFO}", block)
	if r.Changed() || &r.Block()[0] != &block[0] {
		t.Error("the block was copied for nothing")
	}
	r, _, _ = run(t, "route-run = addvar:PATH_INFO=/longer than it was\nroute-run = addvar:A=${PATH_INFO}", block)
	if !r.Changed() || !slices.Equal(block, before) {
		t.Error("the caller's block was written to")
	}
	if got := variables(t, r.Block()); got["A"] != "/longer than it was" || len(got) != len(variables(t, block))+1 {
		t.Errorf("%v", got)
	}
}

func TestBlocksHaveALimit(t *testing.T) {
	for limit, fits := range map[int]bool{0: true, 400: true, len(request()) + 20: false} {
		r := &Request{MaxBlock: limit}
		r.Reset(request(), &fake{})
		v := program(t, "route-run = addvar:AAAAAAAA=0123456789\nroute-run = addvar:AAAAAAAA=01234567890").Run(StageRequest, r)
		if v.Kind.Ends() == fits || len(r.Block()) > 400 {
			t.Errorf("%d of %d: %+v", len(r.Block()), limit, v)
		}
	}
	doubled := strings.Repeat("route-run = addvar:A=${A}${A}\n", 40)
	r, v, _ := run(t, "route-run = addvar:A=0123456789\n"+doubled, request())
	if v.Kind != Break || v.Answer.Status != "500 Internal Server Error" || len(r.Block()) > uwsgi.MaxBlock || len(r.arena) > 1<<20 {
		t.Errorf("%+v, a block of %d bytes, texts of %d", v, len(r.Block()), len(r.arena))
	}
}

func TestRebase(t *testing.T) {
	p := program(t, "route-run = addvar:A=1\nroute-run = setuser:joe\nresponse-route-run = addheader:X: ${A} ${REMOTE_USER} ${PATH_INFO}\nresponse-route-run = addvar:A=2")
	memory := make([]byte, 4096) // the caller's, which has the old block and then the new one
	block := memory[:copy(memory, request())]
	r := &Request{}
	r.Reset(block, &fake{})
	p.Run(StageRequest, r)
	block = memory[:copy(memory, r.Block())]
	r.Rebase(block)
	if r.Changed() || &r.Block()[0] != &memory[0] {
		t.Error("the block is not the caller's")
	}
	p.Run(StageResponse, r)
	if got := texts(r.Effects.AddHeaders); !slices.Equal(got, []string{"X: 1 joe /ab"}) {
		t.Errorf("%q", got)
	}
	if got := variables(t, r.Block()); got["A"] != "2" || got["REMOTE_USER"] != "joe" {
		t.Errorf("%v", got)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"route-run = addheader:X-A:b", "X-A:b"},
		{"route-run = addheader: X-A: b", "X-A: b"},
		{"route-run = addheader:X: ${qs[x]}", "X: 1"},
		{"route-run = addheader:X: ${CRLF}", "X: a"},
		{"route-run = addheader:X: ${NUL}b", "X: a"},
		{"route-run = addheader:${CRLF}: b", ""},
		{"route-run = addheader:${NONE}", ""},
		{"route-run = addheader:${qs[x]} : b", ""},
		{"route-run = expires:unix=1000", "Expires: Thu, 01 Jan 1970 00:16:40 GMT"},
		{"route-run = expires:unix=${time[unix]},value=60", "Expires: Tue, 14 Nov 2023 22:14:20 GMT"},
		{"route-run = expires:value=10", "Expires: Thu, 01 Jan 1970 00:00:10 GMT"},
		{"route-run = expires:filename=/absent", ""},
	} {
		r, v, _ := run(t, c.rule, request("CRLF", "a\r\nX-Evil: 1", "NUL", "a\x00"))
		if got := strings.Join(texts(r.Effects.AddHeaders), "|"); got != c.want || v.Kind != Next {
			t.Errorf("%s: %q", c.rule, got)
		}
	}
	r, _, _ := run(t, "route-run = delheader:X-A\nroute-run = remheader:${qs[x]}", request())
	if got := texts(r.Effects.RemoveHeaders); !slices.Equal(got, []string{"X-A", "1"}) {
		t.Errorf("%q", got)
	}
}

func TestHeadersAreClearedByResponseRulesAlone(t *testing.T) {
	p := program(t, "route-run = clearheaders:201 X\nroute-run = addheader:A: 1\nresponse-route-run = resetheaders:202\nresponse-route-run = addheader:B: 2")
	r := &Request{}
	r.Reset(request(), &fake{})
	p.Run(StageRequest, r)
	if r.Effects.ClearHeaders != "" || len(r.Effects.AddHeaders) != 1 {
		t.Errorf("%+v", r.Effects)
	}
	p.Run(StageResponse, r)
	if got := texts(r.Effects.AddHeaders); r.Effects.ClearHeaders != "202 Accepted" || !slices.Equal(got, []string{"B: 2"}) {
		t.Errorf("%+v", r.Effects)
	}
}

func TestExpiresOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Chtimes(file, time.Unix(1000, 0), time.Unix(1000, 0))); err != nil {
		t.Fatal(err)
	}
	r, _, _ := run(t, "route-run = expires:filename="+file+",value=${qs[x]}", request())
	if got := texts(r.Effects.AddHeaders); !slices.Equal(got, []string{"Expires: Thu, 01 Jan 1970 00:16:41 GMT"}) {
		t.Errorf("%q", got)
	}
}

func TestOtherEffects(t *testing.T) {
	r, v, f := run(t, `
		route-run = logvar:a=1
		route-run = logvar:b=${PATH_INFO}
		route-run = logvar:a=2
		route-run = donotlog:
		route-run = donotoffload:
		route-run = harakiri:30
		route-run = chunked:
		route-run = gzip:
		route-run = fixcl:
		route-run = forcecl:
		route-run = flush:
		route-run = disableheaders:
		route-run = setmodifier1:5
		route-run = setmodifier2:255
		route-run = setprocname:p ${CRLF}
		route-run = signal:17
		route-run = signal:9
		route-run = alarm:mail it is ${PATH_INFO}
		route-run = send-crnl:HTTP/1.0 200 OK
		route-run = send:X: ${CRLF}
		route-run = cachestore:key=${PATH_INFO},name=c1,expires=9
		route-run = cache-store:key=k
	`, request("CRLF", "a\r\nX-Evil: 1"))
	e := r.Effects
	if v.Kind != Next || !e.NoLog || e.HarakiriSeconds != 30 || !e.Chunked || !e.Gzip || !e.FixLength || !e.ForceLength ||
		!e.NoHeaders || e.Modifier1 != 5 || e.Modifier2 != 255 || string(e.ProcName) != "p a" || string(e.Raw) != "HTTP/1.0 200 OK\r\nX: a" || !e.RawSent {
		t.Errorf("%+v, %q", e, e.Raw)
	}
	if want := []LogVar{{"a", []byte("1")}, {"b", []byte("/ab")}, {"a", []byte("2")}}; !reflect.DeepEqual(e.LogVars, want) {
		t.Errorf("%q", e.LogVars)
	}
	if want := []CacheStore{{"c1", []byte("/ab"), 9}, {"", []byte("k"), 0}}; !reflect.DeepEqual(e.Store, want) {
		t.Errorf("%+v", e.Store)
	}
	if want := []string{"signal 17", "signal 9", "alarm mail: it is /ab"}; !slices.Equal(f.asked, want) {
		t.Errorf("%q", f.asked)
	}
	if got := texts(e.LogLines); len(got) != 1 || !strings.Contains(got[0], "signal 9: nobody takes it") {
		t.Errorf("%q", got)
	}
}

func TestRPCDecides(t *testing.T) {
	for result, want := range map[string]Kind{"": Close, "\x02": Close, "\x01": Continue, "\x00": Next, "404": Continue} {
		r, f := &Request{}, &fake{rpc: func(string, string, [][]byte) ([]byte, error) { return []byte(result), nil }}
		r.Reset(request(), f)
		if v := program(t, "route-run = rpcret:f").Run(StageRequest, r); v.Kind != want {
			t.Errorf("%q: %v", result, v.Kind)
		}
	}
}

func TestCaches(t *testing.T) {
	p := program(t, `
		route = ^/set cacheset:key=${PATH_INFO},value=v\, ${PATH_INFO},expires=9,name=c1
		route = ^/none cacheset:key=k,value=v,name=absent
		route = ^/inc cacheinc:key=n,value=5
		route = ^/div cachediv:key=n,name=c1,expires=3
		route = ^/get cache:key=k,name=c1
		route = ^/css cache:key=a.css,name=c1,mime=1,content_encoding=gzip,no_cl=1
		route = ^/type cache:key=k,name=c1,content_type=t/${qs[x]}
		route = ^/dated cache:key=d,name=c1
		route = ^/var cachevar:key=k,name=c1,var=V
		route = ^/var cachevar:key=absent,name=c1,var=W
		route = ^/go cache-continue:key=k,name=c1
		route-run = addvar:AFTER=1
	`)
	if got := p.Caches(); !slices.Equal(got, []string{"c1", "absent", ""}) {
		t.Errorf("%q", got)
	}
	for path, want := range map[string]struct {
		answer string
		asked  string
	}{
		"/set":   {"", "set c1 /set=v, /set for 9"},
		"/none":  {"", "set absent k=v for 0"},
		"/inc":   {"", "change  n + 5 for 0"},
		"/div":   {"", "change c1 n / 1 for 3"},
		"/get":   {"Content-Type: text/html|Content-Length: 1|v", ""},
		"/css":   {"Content-Type: text/css|Content-Encoding: gzip|x", ""},
		"/type":  {"Content-Type: t/1|Content-Length: 1|v", ""},
		"/dated": {"Content-Type: text/html|Expires: Tue, 14 Nov 2023 22:15:00 GMT|Content-Length: 5|dated", ""},
		"/var":   {"", ""},
		"/go":    {"Content-Type: text/html|Content-Length: 1|v", ""},
	} {
		f := &fake{caches: map[string]map[string]string{"c1": {"k": "v", "a.css": "x", "d": "dated"}}}
		r := &Request{}
		r.Reset(request("PATH_INFO", path), f)
		v := p.Run(StageRequest, r)
		got := ""
		if v.Kind == Break {
			got = strings.Join(append(slices.Clone(v.Answer.Headers), string(v.Answer.Body)), "|")
		}
		if got != want.answer || strings.Join(f.asked, "|") != want.asked {
			t.Errorf("%s: %q, %q", path, got, f.asked)
		}
		vars := variables(t, r.Block())
		if _, found := vars["W"]; found || path == "/var" && vars["V"] != "v" {
			t.Errorf("%s: %v", path, vars)
		}
		if (vars["AFTER"] == "1") != (want.answer == "" || path == "/go") {
			t.Errorf("%s: the rules went on, or not", path)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := &fake{metrics: map[string]int64{"m": 10}}
	r := &Request{}
	r.Reset(request(), f)
	p := program(t, "route-run = metricinc:m\nroute-run = metricmul:m,3\nroute-run = metricdec:m,${qs[x]}\nroute-run = metricdiv:m,2\nroute-run = metricinc:absent\nroute-run = log:${metric[m]}")
	if v := p.Run(StageRequest, r); v.Kind != Next || f.metrics["m"] != 16 || len(f.metrics) != 1 {
		t.Errorf("%v, %v", v.Kind, f.metrics)
	}
	if got := texts(r.Effects.LogLines); len(got) != 2 || !strings.Contains(got[0], `no metric "absent"`) || got[1] != "16" {
		t.Errorf("%q", got)
	}
}

func TestProxies(t *testing.T) {
	for _, c := range []struct {
		rule string
		want Proxy
	}{
		{"route-run = http:127.0.0.1:8181", Proxy{Protocol: "http", Address: "127.0.0.1:8181"}},
		{"route-run = http:127.0.0.1:8181,my.example", Proxy{Protocol: "http", Address: "127.0.0.1:8181", Host: "my.example"}},
		{"route-run = http:127.0.0.1:8181,,/u${PATH_INFO}", Proxy{Protocol: "http", Address: "127.0.0.1:8181", Target: "/u/ab"}},
		{"route-run = http:/s.sock,${CRLF}", Proxy{Protocol: "http", Address: "/s.sock", Host: "a"}},
		{"route-run = proxyhttp:${HTTP_HOST}:80", Proxy{Protocol: "http", Address: "h.example:80"}},
		{"route-run = uwsgi:127.0.0.1:3031,5,7", Proxy{Protocol: "uwsgi", Address: "127.0.0.1:3031", Modifier1: 5, Modifier2: 7}},
		{"route-run = proxyuwsgi:s.sock,0,0", Proxy{Protocol: "uwsgi", Address: "s.sock"}},
	} {
		_, v, _ := run(t, c.rule, request("CRLF", "a\r\nX-Evil: 1"))
		if v.Kind != Forward || *v.Proxy != c.want {
			t.Errorf("%s: %+v %+v", c.rule, v, v.Proxy)
		}
	}
	r, v, _ := run(t, "route-run = uwsgi:,173,2,app\nroute-run = addvar:NO=1", request())
	if vars := variables(t, r.Block()); v.Kind != Continue || r.Effects.Modifier1 != 173 || r.Effects.Modifier2 != 2 || vars["UWSGI_APPID"] != "app" || vars["NO"] != "" {
		t.Errorf("%+v, %v", v, vars)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"f", "sub/g"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		rule, path string
		want       *File // nil: 404; Path and Root below the directory
	}{
		{"route-run = static:DIR/f", "/", &File{Path: "/f", Root: "/f", Static: true}},
		{"route = ^/(.*) static:DIR/$1", "/sub/g", &File{Path: "/sub/g", Root: "", Static: true}},
		{"route = ^/(.*) static:DIR/$1", "//sub//./g", &File{Path: "/sub/g", Root: "", Static: true}},
		{"route = (.*) static:DIR/sub$1", "/g", &File{Path: "/sub/g", Root: "/sub", Static: true}},
		{"route = (.*) static:DIR/s$1", "ub/g", &File{Path: "/sub/g", Root: "", Static: true}},
		{"route = ^/(.*) static:DIR/sub/$1", "/../f", nil},
		{"route = ^/(.*) static:DIR/sub/$1", "/x/../../f", nil},
		{"route = ^/(.*) static:DIR/$1", "/f\x00", nil},
		{"route = ^/(.*) static:DIR/$1", "/sub", nil},
		{"route = ^(.*) static:$1", "f", nil},
		{"route-run = file:filename=DIR/f", "/", &File{Path: "/f", Root: "/f", Status: "200 OK", ContentType: "text/html"}},
		{"route-run = sendfile:filename=DIR/f,status=202 Hey,content_type=t/x,no_cl=1", "/", &File{Path: "/f", Root: "/f", Status: "202 Hey", ContentType: "t/x", NoLength: true}},
		{"route = ^/(.*) fastfile:filename=DIR/$1,no_headers=yes,nocl=no,content_type=a${CRLF}", "/f", &File{Path: "/f", Root: "", Status: "200 OK", ContentType: "aa", Bare: true}},
	} {
		_, v, _ := run(t, strings.ReplaceAll(c.rule, "DIR", dir), request("PATH_INFO", c.path, "CRLF", "a\r\nX-Evil: 1"))
		if c.want == nil {
			if v.Kind != Break || v.Answer.Status != "404 Not Found" {
				t.Errorf("%s at %q: %+v", c.rule, c.path, v.File)
			}
			continue
		}
		want := *c.want
		want.Path, want.Root = dir+want.Path, dir+want.Root
		if v.Kind != SendFile || *v.File != want {
			t.Errorf("%s at %q: %+v %+v", c.rule, c.path, v, v.File)
		}
	}
	for _, name := range []string{"static-next:DIR/absent", "file-next:filename=DIR/absent", "static-next:DIR", "sendfile-next:filename=DIR/${PATH_INFO}/../f"} {
		if _, v, _ := run(t, "route-run = "+strings.ReplaceAll(name, "DIR", dir), request()); v.Kind != Next {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("sha:{SHA}"+"HoD6cgqYrJ8kmJCQOxd6hSgmCYw="+"\njoe:abFZSxKKdq5s2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct {
		rules, header string
		user          string // "": refused
		realm         string // of a refusal
	}{
		{"route-run = basicauth:My Realm,joe:secret", "", "", `"My Realm"`},
		{"route-run = basicauth:R,joe:secret", basic("joe:secret"), "joe", ""},
		{"route-run = basicauth:R,joe:secret", strings.Replace(basic("joe:secret"), "Basic", "bASIC", 1), "joe", ""},
		{"route-run = basicauth:R,joe:secret", strings.TrimRight(basic("joe:secret"), "="), "joe", ""},
		{"route-run = basicauth:R,joe:secret", basic("joe:wrong"), "", `"R"`},
		{"route-run = basicauth:R,joe:secret", basic("joe"), "", `"R"`},
		{"route-run = basicauth:R,joe:secret", basic("joe:secret:x"), "", `"R"`},
		{"route-run = basicauth:R,joe:a:b", basic("joe:a:b"), "joe", ""},
		{"route-run = basicauth:R,joe:secret", "Basic !!!", "", `"R"`},
		{"route-run = basicauth:R,joe:secret", "Bearer x", "", `"R"`},
		{"route-run = basicauth:R,joe:", basic("joe:any"), "", `"R"`},
		{"route-run = basicauth:R,joe:", basic("joe:"), "joe", ""},
		{"route-run = basicauth:R,", basic("joe:secret"), "", `"R"`},
		{"route-run = basicauth:a \"b\\,joe:x", "", "", `"a \"b\\"`},
		{"route-run = basicauth:R,/absent", basic("joe:secret"), "", `"R"`},
		{"route-run = basicauth:R,USERS", basic("sha:pass"), "", `"R"`},
		{"route-run = basicauth:R,USERS", basic("joe:pw"), "", `"R"`},
		{"route-run = basicauth:R,USERS", basic("none:pw"), "", `"R"`},
		{"route-run = basicauth-next:R1,joe:secret\nroute-run = basicauth:R2,ann:pw", "", "", `"R1"`},
		{"route-run = basicauth-next:R1,joe:secret\nroute-run = basicauth:R2,ann:pw", basic("joe:wrong"), "", `"R2"`},
		{"route-run = basicauth-next:R1,joe:secret\nroute-run = basicauth:R2,ann:pw", basic("ann:pw"), "ann", ""},
		{"route-run = basicauth-next:R1,joe:secret\nroute-run = basicauth:R2,ann:pw", basic("joe:secret"), "joe", ""},
		{"route-run = setuser:front\nroute-run = basicauth:R2,ann:pw", "", "front", ""},
	} {
		block := request()
		if c.header != "" {
			block = request("HTTP_AUTHORIZATION", c.header)
		}
		r, v, _ := run(t, strings.ReplaceAll(c.rules, "USERS", users), block)
		if c.user != "" {
			if vars := variables(t, r.Block()); v.Kind != Next || vars["REMOTE_USER"] != c.user {
				t.Errorf("%s with %q: %+v, %v", c.rules, c.header, v, vars["REMOTE_USER"])
			}
			continue
		}
		if v.Kind != Break || v.Answer.Status != "401 Authorization Required" || string(v.Answer.Body) != "Unauthorized" ||
			!slices.Equal(v.Answer.Headers, []string{"WWW-Authenticate: Basic realm=" + c.realm}) || r.Changed() {
			t.Errorf("%s with %q: %+v %+v", c.rules, c.header, v, v.Answer)
		}
	}
	// Rules that follow are for those who are let in.
	if _, v, _ := run(t, "route-run = basicauth-next:R1,joe:secret\nroute-run = last:", request("HTTP_AUTHORIZATION", basic("joe:wrong"))); v.Kind != Continue {
		t.Errorf("%+v", v)
	}
}
