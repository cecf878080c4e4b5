package routing

import (
	"strings"
	"testing"
)

// unmatched are 20 rules of the kinds that people write, none of which is for a request of usual.
var unmatched = strings.Repeat(`
	route = ^/static/(.*) static:/srv/$1
	route = ^/health$ donotlog:
	route = \.php$ break:404
	route-user-agent = ^BadBot break:403
	route-host = ^old\.example redirect:https://new.example${REQUEST_URI}
	route-uri = ^/u/(\w+)/(\d+) rewrite:/user?name=$1&id=$2
	route-remote-addr = ^10\. last:
	route-if = equal:${PATH_INFO};/eq break:
	route-if-not = startswith:${REQUEST_URI};/ break:400
	route-if = contains:${HTTP_COOKIE};session= last:
`, 2)

func bench(b *testing.B, text string) {
	p := program(b, text)
	r, f, block := &Request{}, &fake{}, request("HTTP_ACCEPT", "*/*", "HTTP_ACCEPT_ENCODING", "gzip, br", "HTTP_ACCEPT_LANGUAGE", "en", "HTTP_CONNECTION", "keep-alive",
		"CONTENT_TYPE", "", "CONTENT_LENGTH", "", "HTTP_REFERER", "https://h.example/", "HTTP_X_FORWARDED_FOR", "192.0.2.7", "REQUEST_SCHEME", "http")
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(block, f)
		if v := p.Run(StageRequest, r); v.Kind != Next {
			b.Fatalf("%+v", v)
		}
	}
}

func BenchmarkTwentyRulesThatDoNotMatch(b *testing.B) { bench(b, unmatched) }

func BenchmarkOneRuleThatDoesNotMatch(b *testing.B) { bench(b, "route = ^/x break:") }

func BenchmarkExpressionsThatNeedTheEngine(b *testing.B) {
	bench(b, strings.Repeat("route = ^/(x|y)/[0-9]+ break:\n", 20))
}

// Rules that do not match allocate nothing.
func TestRulesThatDoNotMatchAllocateNothing(t *testing.T) {
	p, r, f, block := program(t, unmatched), &Request{}, &fake{}, request()
	n := testing.AllocsPerRun(100, func() {
		r.Reset(block, f)
		p.Run(StageRequest, r)
	})
	if n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
