package uwsgiopts

import (
	"crypto"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSubscriptionsAreRead(t *testing.T) {
	files := map[string]string{"keys": "# all of them\na.example\n\n b.example:80,5\n"}
	for _, c := range []struct {
		args []string
		want []Subscribe
	}{
		{[]string{"--subscribe-to", "192.0.2.1:7000:k"}, []Subscribe{{Server: "192.0.2.1:7000", Key: "k"}}},
		{[]string{"--st", "192.0.2.1:7000:test.example:8000,5,SHA1:/k.pem"}, []Subscribe{{Server: "192.0.2.1:7000", Key: "test.example:8000", Modifier1: 5, Digest: crypto.SHA1, KeyFile: "/k.pem"}}},
		{[]string{"--subscribe", "/run/sub.sock:k:80,1"}, []Subscribe{{Server: "/run/sub.sock", Key: "k:80", Modifier1: 1}}},
		{[]string{"--subscribe-to", "run/sub.sock:k"}, []Subscribe{{Server: "run/sub.sock", Key: "k"}}},
		{[]string{"--subscribe-to", "@abstract:k"}, []Subscribe{{Server: "@abstract", Key: "k"}}},
		{[]string{"--subscribe-to", "[2001:db8::1]:7000:k:80"}, []Subscribe{{Server: "[2001:db8::1]:7000", Key: "k:80"}}},
		{[]string{"--subscribe-to", "h:1:@DIR/keys"}, []Subscribe{{Server: "h:1", Key: "a.example"}, {Server: "h:1", Key: "b.example:80", Modifier1: 5}}},
		{[]string{"--subscribe2", "server=h:1,key=k,addr=a:2,weight=3,modifier1=4,modifier2=5,socket=1,backup=2,proto=http,algo=lrc,check=f,sni_key=x,sni_crt=y,sni_ca=z,vassal=v,sign=SHA256:p.pem"},
			[]Subscribe{{Server: "h:1", Key: "k", Address: "a:2", Weight: 3, Modifier1: 4, Modifier2: 5, Socket: 1, Backup: 2, Protocol: "http", Algorithm: "lrc", Check: "f",
				SNIKey: "x", SNICert: "y", SNICA: "z", Vassal: "v", Digest: crypto.SHA256, KeyFile: "p.pem"}}},
		{[]string{"--subscribe-with-modifier1", "7", "--subscribe-to", "h:1:k", "--subscribe-to", "h:1:l,8"}, []Subscribe{{Server: "h:1", Key: "k", Modifier1: 7}, {Server: "h:1", Key: "l", Modifier1: 8}}},
	} {
		dir := dirWith(t, files)
		args := []string{"--socket", ":0", "--wsgi-file", "a.py"}
		for _, arg := range c.args {
			args = append(args, strings.ReplaceAll(arg, "DIR", dir))
		}
		cfg, err := Parse(args, nil, ParseOptions{Dir: dir})
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		got := slices.Clone(cfg.Subscribe)
		for i := range got {
			got[i].Text = ""
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.args, got, c.want)
		}
	}
}

func TestWhatIsNoSubscriptionIsRefused(t *testing.T) {
	for option, values := range map[string][]string{
		"subscribe-to":             {"", "h:1", "h", "h:1:", ":", "[::1:k", "h:1:k,256", "h:1:k,0,MD5:f", "h:1:k,0,SHA1", "h:1:@/nonexistent"},
		"subscribe2":               {"", "server=h:1", "key=k", "server=h:1,key=k,weight=-1", "server=h:1,key=k,algo=best", "server=h:1,key=k,proto=spdy", "nonsense"},
		"subscriptions-sign-check": {"SHA1", "SHA1:", "MD5:/keys"}, "http-stud-prefix": {"host"}, "subscription-algo": {"best"}, "http-modifier1": {"256"},
	} {
		for _, value := range values {
			_, err := Parse([]string{"--socket", ":0", "--wsgi-file", "a.py", "--set", option + "=" + value}, nil, ParseOptions{Dir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), option) {
				t.Errorf("%s = %s: %v", option, value, err)
			}
		}
	}
}

func TestHTTPIsRoutedWhereItHasSomewhereToGo(t *testing.T) {
	for _, c := range []struct {
		args  string
		front bool
	}{
		{"--wsgi-file a.py", false},
		{"--http-to a:1", true},
		{"--http-subscription-server a:1", true},
		{"--http-use-base /d", true},
		{"--http-use-cache --cache2 name=nodes,items=10", true},
		{"--http-use-cache=nodes --cache2 name=nodes,items=10", true},
		{"--http-use-pattern /d/%s", true},
		{"--http-use-socket --socket :0 --wsgi-file a.py", true},
		{"--http-fallback a:1 --wsgi-file a.py", false},
	} {
		cfg, err := Parse(append([]string{"--http", ":8080"}, strings.Fields(c.args)...), nil, ParseOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatalf("%s: %v", c.args, err)
		}
		if front := cfg.Sockets[0].Protocol == HTTPFront; front != c.front || cfg.HTTPRouted() != front {
			t.Errorf("%s: protocol %s", c.args, cfg.Sockets[0].Protocol)
		}
		if cfg.OnlySupervises() != (c.front && !strings.Contains(c.args, "--socket")) {
			t.Errorf("%s: it only supervises: %v", c.args, cfg.OnlySupervises())
		}
	}
}

func TestARouterRedirectsToo(t *testing.T) {
	for args, want := range map[string]string{"--http-to a:1 --https :443,c,k": RedirectFront, "--https :443,c,k --wsgi-file a.py": protocolToHTTPS} {
		cfg, err := Parse(append([]string{"--http-to-https", ":80"}, strings.Fields(args)...), nil, ParseOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Sockets[0].Protocol; got != want || cfg.OnlySupervises() != (want == RedirectFront) {
			t.Errorf("%s: %s, only supervises: %v", args, got, cfg.OnlySupervises())
		}
	}
}

func TestACacheHasToBeThere(t *testing.T) {
	for _, args := range []string{"--http-use-cache", "--http-use-cache=others --cache2 name=nodes,items=10", "--http-use-cache=nodes@a:1 --cache2 name=nodes,items=10"} {
		_, err := Parse(append([]string{"--http", ":8080"}, strings.Fields(args)...), nil, ParseOptions{Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "of this instance: name one with cache2") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestOptionsWithoutARouterAreTold(t *testing.T) {
	cfg, err := Parse([]string{"--http", ":8080", "--wsgi-file", "a.py", "--http-stats-server", ":1717"}, nil, ParseOptions{Dir: t.TempDir()})
	if err != nil || len(cfg.Notices) != 1 || !strings.Contains(cfg.Notices[0], `option "http-stats-server" has no effect: workers serve HTTP themselves`) {
		t.Errorf("%q, %v", cfg.Notices, err)
	}
	cfg, err = Parse([]string{"--http", ":8080", "--http-to", "a:1", "--http-subscription-server", "b:2", "--http-gracetime", "5"}, nil, ParseOptions{Dir: t.TempDir()})
	if err != nil || len(cfg.Notices) != 1 || !strings.Contains(cfg.Notices[0], "are mutually exclusive") || cfg.HTTPRouter.Gracetime != 5*time.Second {
		t.Errorf("%q, %v", cfg.Notices, err)
	}
}
