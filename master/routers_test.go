package master

import (
	"encoding/json"
	"testing"

	"envoxyd/internal/routerspec"
	"envoxyd/master/hooks"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

func planOf(t *testing.T, change func(*uwsgiopts.Config), list ...*sockets.Socket) *routerPlan {
	t.Helper()
	cfg := &uwsgiopts.Config{StartDir: "/start"}
	cfg.FastRouter = uwsgiopts.Router{Processes: 2, To: []string{"a:1"}}
	change(cfg)
	plan, err := newRouterPlan(&generation{cfg: cfg, sockets: list, hooks: new(hooks.Runner)}, routerspec.KindFast, &cfg.FastRouter)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestARouterGoesOnWhileItsPlanIsTheSame(t *testing.T) {
	front := &sockets.Socket{Key: ":1", Protocol: uwsgiopts.FastFront, FD: 7}
	worker := &sockets.Socket{Key: ":2", Protocol: "uwsgi", FD: 8, Name: "127.0.0.1:2"}
	same := func(*uwsgiopts.Config) {}
	first := planOf(t, same, front, worker)
	if first.count != 2 || len(first.sockets) != 1 {
		t.Fatalf("%+v", first)
	}
	for name, c := range map[string]struct {
		plan *routerPlan
		want bool
	}{
		"again":          {planOf(t, same, worker, front), true},
		"another node":   {planOf(t, func(c *uwsgiopts.Config) { c.FastRouter.To = []string{"b:1"} }, front), false},
		"more processes": {planOf(t, func(c *uwsgiopts.Config) { c.FastRouter.Processes = 3 }, front), false},
		"another socket": {planOf(t, same, &sockets.Socket{Key: ":1", Protocol: uwsgiopts.FastFront, FD: 9}), false},
		"a log option":   {planOf(t, func(c *uwsgiopts.Config) { c.DisableLogging = true }, front), true},
	} {
		if got := first.equal(c.plan); got != c.want {
			t.Errorf("%s: equal %v", name, got)
		}
	}
	secured := func(cert string) *routerPlan {
		return planOf(t, same, &sockets.Socket{Key: ":1", Protocol: uwsgiopts.FastFront, FD: 7, TLS: &uwsgiopts.Certificate{Cert: cert, Key: "k"}})
	}
	if one := secured("c"); !one.equal(secured("c")) || one.equal(secured("d")) || one.equal(first) {
		t.Error("another certificate's file is no other plan, or the same one is")
	}
	if plan := planOf(t, same, worker); plan != nil {
		t.Errorf("without a front: %+v", plan)
	}
}

func TestARouterMayServeItsOwnInstance(t *testing.T) {
	number := 1
	front := &sockets.Socket{Protocol: uwsgiopts.FastFront, FD: 7}
	list := []*sockets.Socket{front, {Protocol: "http-router", Name: ":80"}, {Protocol: "uwsgi", Name: ":1"}, {Protocol: "uwsgi", Path: "/run/s", Name: "s"}}
	plan := planOf(t, func(c *uwsgiopts.Config) { c.FastRouter.To, c.FastRouter.UseSocket = nil, &number }, list...)
	if to := plan.spec.Routing.To; len(to) != 1 || to[0] != "/run/s" {
		t.Errorf("%v", to)
	}
	cfg := &uwsgiopts.Config{}
	number = 2
	cfg.FastRouter = uwsgiopts.Router{Processes: 1, UseSocket: &number}
	if _, err := newRouterPlan(&generation{cfg: cfg, sockets: list, hooks: new(hooks.Runner)}, routerspec.KindFast, &cfg.FastRouter); err == nil {
		t.Error("a socket that is not there is taken")
	}
}

// What routers have heard is known to those that come after them, in this master and in the next one.
func TestNodesOutliveTheirRouters(t *testing.T) {
	r := newRouters(&master{})
	node := func(key, address string) json.RawMessage {
		text, err := json.Marshal(map[string]string{"key": key, "address": address})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	one := &router{routerPlan: &routerPlan{spec: routerspec.Spec{Kind: "http"}}}
	for _, e := range []routerspec.Event{
		{Kind: routerspec.Announce, Node: node("k", "a")}, {Kind: routerspec.Announce, Node: node("k", "b")}, {Kind: routerspec.Announce, Node: node("k", "a")},
		{Kind: routerspec.Withdraw, Node: node("k", "b")}, {Kind: routerspec.Announce, Node: json.RawMessage(`"nonsense"`)},
	} {
		r.heard(one, e)
	}
	if list := r.nodes("http"); len(list) != 1 || string(list[0]) != string(node("k", "a")) {
		t.Errorf("%s", list)
	}
	if list := r.nodes("fastrouter"); len(list) != 0 {
		t.Errorf("another kind has %s", list)
	}
}
