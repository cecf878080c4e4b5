package routing

import (
	"slices"
	"testing"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"route-run = log:$", "$"},
		{"route-run = log:a$$b", "a$$b"},
		{"route-run = log:$${PATH_INFO}$${PATH_INFO", "$${PATH_INFO}$${PATH_INFO"},
		{"route-run = log:${", "${"},
		{"route-run = log:$x", "$x"},
		{"route-run = log:{$}", "{$}"},
		{"route-run = log:[$0$5]", "[]"},
		{"route-run = log:[${}]", "[]"},
		{"route-run = log:[${PATH_INFO]", "[${PATH_INFO]"},
		{"route-run = log:[${cookie[]", "[${cookie[]"},
		{"route-run = log:[${cookie[a}]", "[]"},
		{"route-run = log:[${[a]}]", "[]"},
		{"route-run = log:[${a]}]", "[]"},
		{"route-run = log:[${${PATH_INFO}}]", "[}]"},
		{"route-run = log:x${PATH_INFO}y$", "x/aby$"},
		{"route-run = log:${NONE}", ""},
		{"route = ^/(.)(.) log:$2-$1-$0-$3", "b-a-/ab-"},
		{"route = ^/(.)(.) log:$12", "a2"},
		{"route = ^/(a)(c)? log:[$2]", "[]"},
		{"route = ^/(?=(.)) log:$1", "a"},
		{"route-if = regexp:${PATH_INFO};^/(.)(.) log:$2$1", "ba"},
		{"route-run = log:${qs[x]} ${qs[y]} [${qs[z]}] [${qs[X]}]", "1 2 [] []"},
		{"route-run = log:${cookie[k]} ${cookie[j]} [${cookie[K]}]", `v1%20+ "q" []`},
		{"route-run = log:${uwsgi[wid]} ${uwsgi[pid]} ${uwsgi[uuid]} ${uwsgi[rtime]} ${uwsgi[lq]} ${uwsgi[rsize]} ${uwsgi[sor]}", "2 4711 uuid 350 7 96 1700000000000001"},
		{"route-run = log:${time[unix]} ${time[micros]}", "1700000000 1700000000123456"},
		{"route-run = log:${httptime[60]}", "Tue, 14 Nov 2023 22:14:20 GMT"},
		{"route-run = log:${httptime[]}", "Tue, 14 Nov 2023 22:13:20 GMT"},
		{"route-run = log:${httptime[-60]}", "Tue, 14 Nov 2023 22:12:20 GMT"},
		{"route-run = log:${httptime[99999999999999999999]}", "Fri, 31 Dec 9999 23:59:59 GMT"},
		{"route-run = log:${base64[PATH_INFO]} [${base64[NONE]}]", "L2Fi []"},
		{"route-run = log:${hex[PATH_INFO]}", "2F6162"},
		{"route-run = log:${upper[PATH_INFO]} ${lower[SERVER_PROTOCOL]}", "/AB http/1.1"},
		{"route-run = log:[${mime[PATH_INFO]}]", "[]"},
		{"route-run = log:${math[7/2]} ${math[1+2*3]} ${math[(1+2)*3]} ${math[2^3^2]} ${math[-7/2]} ${math[SERVER_PORT+1]} ${math[NONE*2]}", "3 7 9 512 -3 8081 0"},
		{"route-run = log:[${math[1/0]}] ${math[ 1 - 2 - 3 ]}", "[] -4"},
		{"route-run = log:${rpc[hello a b]} ${rpc[far@10.0.0.1:3031]}", "hello(a|b) far()"},
		{"route-run = log:[${metric[none]}]", "[]"},
	} {
		r, _, _ := run(t, c.rule, request())
		if got := texts(r.Effects.LogLines); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %q, want %q", c.rule, got, c.want)
		}
	}
}

func TestPairsOfQueryStringsAndCookies(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"QUERY_STRING", "A=1&aa=5&a=%zz%4", "[%zz%4]"},
		{"QUERY_STRING", "&&a=1&a=2", "[1]"},
		{"QUERY_STRING", "b=2&a", "[]"},
		{"QUERY_STRING", "a==2", "[=2]"},
		{"QUERY_STRING", "a", "[]"},
		{"QUERY_STRING", "", "[]"},
		{"QUERY_STRING", "b=1;a=2", "[]"},
		{"HTTP_COOKIE", "xa=1; a=2 ; j=3", "[2]"},
		{"HTTP_COOKIE", "a", "[]"},
		{"HTTP_COOKIE", "a; a=5", "[5]"},
		{"HTTP_COOKIE", "b=a=c;a==x=", "[=x=]"},
		{"HTTP_COOKIE", "  a=1", "[1]"},
	} {
		rule := "route-run = log:[${qs[a]}]"
		if c.name == "HTTP_COOKIE" {
			rule = "route-run = log:[${cookie[a]}]"
		}
		r, _, _ := run(t, rule, request(c.name, c.text))
		if got := texts(r.Effects.LogLines); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s=%s: %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestALineOfTheLogIsOne(t *testing.T) {
	r, _, _ := run(t, "route-run = log:L ${PATH_INFO}", at("/l\r\nFORGED \x1b[2J\x07"))
	if got := texts(r.Effects.LogLines); !slices.Equal(got, []string{`L /l\x0d\x0aFORGED \x1b[2J\x07`}) {
		t.Errorf("%q", got)
	}
}

func TestTheLastOfSeveralVariablesCounts(t *testing.T) {
	block := append(request(), request("PATH_INFO", "/last")...)
	r, _, _ := run(t, "route = ^/last log:${PATH_INFO}", block)
	if got := texts(r.Effects.LogLines); !slices.Equal(got, []string{"/last"}) {
		t.Errorf("%q", got)
	}
}

// FuzzTemplate: whatever is written and sent, nothing breaks, and a line stays one.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"$1", "${X}", "${qs[a]}", "${math[1+X]}", "${rpc[f a]}", "${", "$", "${a[", "${base64[X]}${hex[X]}", "${math[((((1))))]}", "${httptime[9]}", "${math[-^1]}"} {
		f.Add(text, "/a\nb", "a=1&b")
	}
	f.Fuzz(func(t *testing.T, text, path, query string) {
		p, err := Compile([]Rule{{Option: "route", Value: "^(/)(.*) log:" + text}, {Option: "route-run", Value: "addheader:X: " + text}, {Option: "route-run", Value: "rewrite:" + text}})
		if err != nil {
			return
		}
		r := &Request{}
		r.Reset(request("PATH_INFO", path, "QUERY_STRING", query, "X", path), &fake{})
		p.Run(StageRequest, r)
		variables(t, r.Block())
		for _, line := range append(texts(r.Effects.LogLines), texts(r.Effects.AddHeaders)...) {
			for _, b := range []byte(line) {
				if isControl(b) {
					t.Fatalf("%q has a control byte", line)
				}
			}
		}
	})
}

// FuzzCompile: whatever a rule says, it is refused or runs, and what it leaves is in good order.
func FuzzCompile(f *testing.F) {
	for _, value := range []string{
		"^/a addheader:X: $0", "equal:${PATH_INFO};/a last:", "regexp:a;( break:", "404 break:403 X", "(.*) goto:$1", "^/ hash:key=a,items=;;b,var=H",
		"^/ cache:key=$1\\,,name=c", "^/ rewrite:/../%2e%2e/$0?x", "^/ static:/etc$0", "^/ basicauth:R,u:p", "^/ rpcvar:V f $1 ${X}", "^/ expires:value=9", "^/ +:V,$1",
		"ipv4in:${REMOTE_ADDR};${X} return:${X}", "^/ send-crnl:${X}", "^/ http:$0,$0", "^/ uwsgi:a,1,2,$0", "^/(?!b)(.*) log:$1",
	} {
		f.Add("route", value, "/a/b")
		f.Add("route-if", value, "/\r\nb")
		f.Add("route-run", value, "")
	}
	f.Fuzz(func(t *testing.T, option, value, path string) {
		p, err := Compile([]Rule{{Option: option, Value: value}, {Option: "route-label", Value: "a"}, {Stage: StageError, Option: option, Value: value}})
		if err != nil {
			return
		}
		r := &Request{}
		r.Reset(request("PATH_INFO", path, "X", path, "HTTP_AUTHORIZATION", "Basic dTpw"), &fake{})
		for _, stage := range []Stage{StageRequest, StageError} {
			v := p.Run(stage, r)
			if v.Kind == Break {
				for _, line := range append(slices.Clone(v.Answer.Headers), v.Answer.Status) {
					if slices.ContainsFunc([]byte(line), isControl) {
						t.Fatalf("%q has a control byte", line)
					}
				}
			}
			if v.Kind == SendFile && hasUpwards([]byte(v.File.Path)) {
				t.Fatalf("the file %q", v.File.Path)
			}
		}
		variables(t, r.Block())
		for _, line := range append(texts(r.Effects.LogLines), texts(r.Effects.AddHeaders)...) {
			if slices.ContainsFunc([]byte(line), isControl) {
				t.Fatalf("%q has a control byte", line)
			}
		}
	})
}
