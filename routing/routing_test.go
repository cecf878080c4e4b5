package routing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"envoxyd/protocol/uwsgi"
)

// fake is a rest of the server that notes what it is asked.
type fake struct {
	caches  map[string]map[string]string
	metrics map[string]int64
	asked   []string
	rpc     func(server, function string, args [][]byte) ([]byte, error)
}

func (f *fake) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (*fake) Now() time.Time { return time.Unix(1_700_000_000, 123_456_000) }
func (*fake) AppendInfo(to []byte, what Info) []byte {
	return append(to, [...]string{"2", "4711", "uuid", "350", "7", "96", "1700000000000001"}[what]...)
}
func (*fake) MIME(name string) string {
	return map[bool]string{true: "text/css"}[strings.HasSuffix(name, ".css")]
}

func (f *fake) CacheGet(cache string, key []byte) ([]byte, int64, bool) {
	value, found := f.caches[cache][string(key)]
	expires := int64(0)
	if strings.HasPrefix(value, "dated") {
		expires = 1_700_000_100
	}
	return []byte(value), expires, found
}

func (f *fake) CacheSet(cache string, key, value []byte, seconds int64) bool {
	f.note("set %s %s=%s for %d", cache, key, value, seconds)
	if f.caches[cache] == nil {
		return false
	}
	f.caches[cache][string(key)] = string(value)
	return true
}

func (f *fake) CacheChange(cache string, key []byte, op Operation, by, seconds int64) bool {
	f.note("change %s %s %c %d for %d", cache, key, op, by, seconds)
	return true
}

func (f *fake) Metric(name string) (int64, bool) { n, found := f.metrics[name]; return n, found }
func (f *fake) MetricChange(name string, op Operation, by int64) bool {
	n, found := f.metrics[name]
	if found {
		f.metrics[name] = op.of(n, by)
	}
	return found
}

func (f *fake) Signal(number byte) error {
	f.note("signal %d", number)
	if number == 9 {
		return errors.New("nobody takes it")
	}
	return nil
}
func (f *fake) Alarm(name string, message []byte) { f.note("alarm %s: %s", name, message) }
func (f *fake) RPC(server, function string, args [][]byte) ([]byte, error) {
	if f.rpc != nil {
		return f.rpc(server, function, args)
	}
	f.note("rpc %s@%s %q", function, server, args)
	if function == "none" {
		return nil, errors.New("no such function")
	}
	return []byte(function + "(" + string(bytes.Join(args, []byte("|"))) + ")"), nil
}

// usual is what a request has.
var usual = []string{
	"REQUEST_METHOD", "GET", "REQUEST_URI", "/ab?x=1&y=2", "PATH_INFO", "/ab", "QUERY_STRING", "x=1&y=2", "SERVER_PROTOCOL", "HTTP/1.1",
	"SCRIPT_NAME", "", "SERVER_NAME", "localhost", "SERVER_PORT", "8080", "REMOTE_ADDR", "127.0.0.1", "HTTP_HOST", "h.example",
	"HTTP_USER_AGENT", "curl/8", "HTTP_COOKIE", `k=v1%20+; j="q"; k=2`,
}

// request is the usual one with other variables: pairs of names and values.
func request(pairs ...string) []byte {
	all := slices.Clone(usual)
	for i := 0; i < len(pairs); i += 2 {
		if at := slices.Index(all, pairs[i]); at >= 0 && at%2 == 0 {
			all[at+1] = pairs[i+1]
		} else {
			all = append(all, pairs[i], pairs[i+1])
		}
	}
	var block []byte
	for i := 0; i < len(all); i += 2 {
		block = uwsgi.AppendVar(block, all[i], all[i+1])
	}
	return block
}

// at is the usual request for a path.
func at(path string) []byte { return request("PATH_INFO", path, "REQUEST_URI", path) }

// rules reads lines of OPTION = VALUE.
func rules(t testing.TB, text string) []Rule {
	t.Helper()
	var list []Rule
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\n"), "\t")
		if line == "" {
			continue
		}
		option, value, found := strings.Cut(line, " = ")
		if !found {
			t.Fatalf("%q is no rule", line)
		}
		stage := StageRequest
		for _, s := range []Stage{StageError, StageResponse, StageFinal} {
			if rest, found := strings.CutPrefix(option, s.String()+"-"); found {
				stage, option = s, rest
			}
		}
		list = append(list, Rule{Stage: stage, Option: option, Value: value})
	}
	return list
}

func program(t testing.TB, text string) *Program {
	t.Helper()
	p, err := Compile(rules(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs the rules of the request stage.
func run(t testing.TB, text string, block []byte) (*Request, Verdict, *fake) {
	t.Helper()
	r, f := &Request{}, &fake{caches: map[string]map[string]string{}, metrics: map[string]int64{}}
	r.Reset(block, f)
	return r, program(t, text).Run(StageRequest, r), f
}

// variables reads a block.
func variables(t testing.TB, block []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for len(block) > 0 {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			t.Fatal(err)
		}
		if _, again := all[string(key)]; again {
			t.Errorf("%s is there twice", key)
		}
		all[string(key)] = string(value)
		block = rest
	}
	return all
}

func texts(list [][]byte) (all []string) {
	for _, text := range list {
		all = append(all, string(text))
	}
	return all
}

func TestSubjects(t *testing.T) {
	r, v, _ := run(t, `
		route-host = ^h addheader:X: host
		route-uri = \?x addheader:X: uri
		route-qs = y=2$ addheader:X: qs
		route-remote-addr = ^127\. addheader:X: addr
		route-user-agent = curl addheader:X: agent
		route-remote-user = ^$ addheader:X: nobody
		route-referer = ^$ addheader:X: no referer
		route-method = ^GET$ addheader:X: get
		route = ^/ab$ addheader:X: path
		route = ^/AB addheader:X: other case
		route-host = example$ addheader:X: end
		route-run = addheader:X: always
	`, request())
	want := []string{"host", "uri", "qs", "addr", "agent", "nobody", "no referer", "get", "path", "end", "always"}
	var got []string
	for _, line := range texts(r.Effects.AddHeaders) {
		got = append(got, strings.TrimPrefix(line, "X: "))
	}
	if !slices.Equal(got, want) || v.Kind != Next {
		t.Errorf("%q, %v", got, v.Kind)
	}
}

func TestOrderOfRules(t *testing.T) {
	for _, c := range []struct {
		rules, path string
		kind        Kind
		said        []string
	}{
		{"route = ^/a log:1\nroute = ^/a log:2", "/a", Next, []string{"1", "2"}},
		{"route = ^/a last:\nroute-run = log:2", "/a", Continue, nil},
		{"route = ^/a continue:\nroute-run = log:2", "/b", Next, []string{"2"}},
		{"route = ^/a break:\nroute-run = log:2", "/a", Close, nil},
		{"route = ^/a goto:end\nroute-run = log:no\nroute-label = end\nroute-run = log:yes", "/a", Next, []string{"yes"}},
		{"route = ^/a goto:end\nroute-run = log:no\nroute-label = end\nroute-run = log:yes", "/b", Next, []string{"no", "yes"}},
		{"route-label = x\nroute = ^/a goto:x\nroute-run = log:no\nroute-label = x\nroute-run = log:yes", "/a", Next, []string{"yes"}},
		{"route-run = goto:2\nroute-run = log:1\nroute-run = log:2", "/", Next, []string{"2"}},
		{"route-run = goto:9\nroute-run = log:1", "/", Next, nil},
		{"route = (.*) goto:$1\nroute-run = log:no\nroute-label = /a\nroute-run = log:yes", "/a", Next, []string{"yes"}},
		{"route-run = log:1\nroute-run = rewrite-last:/x\nroute-run = log:2", "/", Continue, []string{"1"}},
		{"route-run = rewrite:/b\nroute = ^/b log:changed\nroute = ^/a log:old", "/a", Next, []string{"changed"}},
		{"error-route-run = log:error\nroute-run = log:1\nfinal-route-run = log:final", "/", Next, []string{"1"}},
	} {
		r, v, _ := run(t, c.rules, at(c.path))
		if got := texts(r.Effects.LogLines); !slices.Equal(got, c.said) || v.Kind != c.kind {
			t.Errorf("%q at %s: %q, %v", c.rules, c.path, got, v.Kind)
		}
	}
}

func TestGotoThatLeadsNowhere(t *testing.T) {
	r, v, _ := run(t, "route = ^/(.*) goto:$1\nroute-run = log:no", at("/x\n"))
	if v.Kind != Break || v.Answer.Status != "500 Internal Server Error" || len(r.Effects.LogLines) != 1 || !strings.Contains(string(r.Effects.LogLines[0]), "nowhere") {
		t.Errorf("%+v, %q", v, r.Effects.LogLines)
	}
	if strings.Contains(string(r.Effects.LogLines[0]), "\n") {
		t.Errorf("a client has made a line of the log")
	}
}

func TestStagesHaveTheirOwnRulesAndShareEffects(t *testing.T) {
	p := program(t, `
		route-run = addvar:A=1
		route-run = goto:end
		error-route-run = log:never a label of another stage
		route-label = end
		error-route-status = 404 addheader:X-Missing: ${A}
		error-route-status = 500 log:five
		response-route-if = equal:${uwsgi[status]};404 addheader:X-Status: ${uwsgi[status]}
		final-route-status = 404 log:gone
	`)
	r := &Request{}
	r.Reset(request(), &fake{})
	for _, stage := range []Stage{StageRequest, StageError, StageResponse, StageFinal} {
		if !p.Has(stage) {
			t.Errorf("no rules in %v", stage)
		}
		if v := p.Run(stage, r); v.Kind != Next {
			t.Errorf("%v: %v", stage, v.Kind)
		}
		r.Status = 404
	}
	if got := texts(r.Effects.AddHeaders); !slices.Equal(got, []string{"X-Missing: 1", "X-Status: 404"}) {
		t.Errorf("%q", got)
	}
	if got := texts(r.Effects.LogLines); !slices.Equal(got, []string{"never a label of another stage", "gone"}) {
		t.Errorf("%q", got)
	}
	r.Reset(request(), &fake{})
	if e := r.Effects; len(e.AddHeaders)+len(e.LogLines) > 0 || r.Changed() || r.Status != 0 || e.Modifier1 != -1 {
		t.Errorf("something has stayed: %+v", r)
	}
	if (*Program)(nil).Has(StageRequest) {
		t.Error("no program has rules")
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, c := range []struct{ rule, reason string }{
		{"route = ", "invalid route syntax"},
		{"route = ^/a", "invalid route syntax"},
		{"route = ^/a foo", "invalid route syntax"},
		{"route-run = foo", "invalid route syntax"},
		{"route-run = last:\x00", "invalid route syntax"},
		{"route = ^/a nosuch:x", `missing router for: "nosuch"`},
		{"route = ^/( break:", "missing closing"},
		{"route-run = goto:", "label"},
		{"route-label = a\nroute-run = goto:a", `no label "a" after`},
		{"route-run = goto:0", `no label "0" after`},
		{"route-run = lua:x", `"lua" is not supported: there is no Lua`},
		{"route-run = chdir:/x", `"chdir" is not supported`},
		{"route-run = sethome:/x", "virtualenv"},
		{"route-run = access:x", "ipv4in"},
		{"route-run = redis:x", "cache:"},
		{"route-if = nosuch:x break:", `unable to find "nosuch" route condition`},
		{"route-if = lord:x break:", `"lord" is not supported`},
		{"route-if = exists break:", "invalid route condition syntax"},
		{"route-if = regexp:a;( break:", "missing closing"},
		{"route-if = ipv4in:${REMOTE_ADDR};10.0.0.0/33 break:", "not a network"},
		{"route-if = ipv4in:${REMOTE_ADDR};10.0.0.0/255.0.0.0 break:", "not a network"},
		{"route-if = ipv4in:${REMOTE_ADDR};::1 break:", "other family"},
		{"route-if = ipv6in:${REMOTE_ADDR};x break:", "neither"},
		{"route-status = 404 break:", "no status before"},
		{"route-nosuch = x break:", `no option "route-nosuch"`},
		{"route-run = break:abc", "not a status"},
		{"route-run = break:40", "not a status"},
		{"route-run = break:404x", "not a status"},
		{"route-run = break:100 Continue", "not a status"},
		{"route-run = return:", "status"},
		{"route-run = addvar:A", "KEY=VAL"},
		{"route-run = addvar:=b", "KEY=VAL"},
		{"route-run = logvar:a", "key=value"},
		{"route-run = addheader:X", "not a header"},
		{"route-run = addheader:", "not a header"},
		{"route-run = addheader:X : a", "not a header"},
		{"route-run = addheader:X: a\rb", "not a header"},
		{"route-run = delheader:", "name of a header"},
		{"route-run = signal:256", "0 to 255"},
		{"route-run = signal:x", "0 to 255"},
		{"route-run = harakiri:-1", "number"},
		{"route-run = alarm:x", "message"},
		{"route-run = setmodifier1:x", "0 to 255"},
		{"route-run = +:", "variable"},
		{"route-run = basicauth:x", "REALM"},
		{"route-run = static:rel", "absolute"},
		{"route-run = file:/etc/passwd", "not KEY=VALUE"},
		{"route-run = file:status=200 OK", "filename="},
		{"route-run = file:filename=/a,status=x", "not a status"},
		{"route-run = cache:", "key="},
		{"route-run = cache:key=a,colour=red", `no "colour"`},
		{"route-run = cacheset:key=a", "value="},
		{"route-run = cacheset:key=a,value=b,expires=x", "number"},
		{"route-run = cachevar:key=a", "var="},
		{"route-run = cacheinc:key=a,value=x", "number"},
		{"route-run = hash:key=a", "items="},
		{"route-run = hash:key=a,items=b,var=c,algo=d", `hash algo "d"`},
		{"route-run = expires:", "unix="},
		{"route-run = expires:foo", "not KEY=VALUE"},
		{"route-run = http:", "address"},
		{"route-run = uwsgi:x", "MODIFIER1"},
		{"route-run = uwsgi:x,300,0", "0 to 255"},
		{"route-run = rpc:", "function"},
		{"route-run = rpcvar:", "variable"},
		{"route-run = rpcvar:A", "function"},
		{"route-run = metricinc:", "metric"},
		{"route-run = clearheaders:", "not a status"},
		{"route-run = log:${math[1+]}", "math"},
		{"route-run = log:${rpc[]}", "function"},
		{"route-run = log:${geoip[X]}", "nginx"},
	} {
		_, err := Compile(rules(t, c.rule))
		var wrong *RuleError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), "unable to register route") {
			t.Errorf("%q: %v", c.rule, err)
		}
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	_, wrong := CompileAll([]Rule{
		{Option: "route-run", Value: "foo:x", Origin: "a.ini:3"}, {Option: "route-run", Value: "last:"},
		{Stage: StageError, Option: "route", Value: "x"}, {Stage: 9, Option: "route-run", Value: "last:"},
	})
	if len(wrong) != 3 || wrong[0].Error() != `a.ini:3: unable to register route "foo:x" (route-run): missing router for: "foo"` ||
		!strings.Contains(wrong[1].Error(), "(error-route)") || !strings.Contains(wrong[2].Error(), "stage 9") {
		t.Errorf("%v", wrong)
	}
}

func TestDescribe(t *testing.T) {
	p := program(t, `
		route = ^/a addheader:X: $0 ${PATH_INFO}
		route-if = equal:${PATH_INFO};/e addheader:X: 1
		route-if-not = empty:${QUERY_STRING} last:
		route-run = log: x
		route-label = foo
		error-route-status = 404 last:
	`)
	want := []string{
		"*** dumping internal routing table ***",
		"[rule: 0] subject: path_info regexp: ^/a action: addheader:X: $0 ${PATH_INFO}",
		"[rule: 1] subject: ${PATH_INFO};/e func: equal action: addheader:X: 1",
		"[rule: 2] subject: ${QUERY_STRING} func: !empty action: last:",
		"[rule: 3] action: log: x",
		"[rule: 4] label: foo",
		"*** end of the internal routing table ***",
		"*** dumping internal error routing table ***",
		"[rule: 0] subject: 404 func: 404 action: last:",
		"*** end of the internal error routing table ***",
	}
	if got := p.Describe(); !slices.Equal(got, want) {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
}

func TestNotes(t *testing.T) {
	p := program(t, `
		error-route-status = 4.. last:
		route-run = log:${nosuch[x]}${QUERY_STRING[a]}${uwsgi[zz]}${time[x]}
		route-run = last:x
		route-run = clearheaders:200
	`)
	var got []string
	for _, note := range p.Notes() {
		got = append(got, note.String())
	}
	for _, want := range []string{"never matches", "${nosuch[x]} is empty", "${QUERY_STRING[a]} is empty", "${uwsgi[zz]}", "${time[x]}", "no argument", "headers are cleared"} {
		if !slices.ContainsFunc(got, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
	if n := (Note{Rule{Option: "route-run", Value: "last:x", Origin: "a.ini:1"}, "text"}).String(); n != "route-run = last:x: text (a.ini:1)" {
		t.Error(n)
	}
}

func TestListsNameWhatThereIs(t *testing.T) {
	for name := range otherActions {
		if actions[name] != nil {
			t.Errorf("%s is there and refused", name)
		}
	}
	// uWSGI 2.0.30 lists these; those that are not here are refused by name.
	for _, name := range strings.Fields(`continue last break return break-with-status log donotlog donotoffload logvar goto addvar addheader delheader
		remheader clearheaders resetheaders disableheaders signal send send-crnl chdir setapp setuser sethome setfile setscriptname setmethod
		seturi setremoteaddr setpathinfo fixpathinfo setdocroot setscheme setprocname alarm setmodifier1 setmodifier2 + - * / flush fixcl
		forcecl harakiri call rpc rpcret rpcblob rpcnext rpcraw rpcvar uwsgi proxyuwsgi redirect redirect-302 redirect-permanent redirect-301
		basicauth basicauth-next rewrite rewrite-last http httpdumb proxyhttp httpconnect proxyhttpconnect cache cache-continue cachevar
		cacheset cachestore cache-store cacheinc cachedec cachemul cachediv static static-next file file-next sendfile sendfile-next fastfile
		fastfile-next symcall symcall-next tofile to-file gzip chunked offload memcached memcached-continue memcachedstore memcached-store
		redis redis-continue redisstore redis-store hash expires metricinc metricdec metricmul metricdiv metricset template`) {
		if !slices.Contains(Actions(), name) && otherActions[name] == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
	for _, name := range strings.Fields("exists isfile isdir islink isexec equal isequal eq == startswith endswith regexp re ishigher > islower < ishigherequal >= islowerequal <= contains contain ipv4in ipv6in empty") {
		if !slices.Contains(Conditions(), name) {
			t.Errorf("no condition %s", name)
		}
	}
}
