package sockets

import (
	"strings"

	"envoxyd/uwsgiopts"
)

// Protocols of sockets of routers beside those where clients connect, each behind the kind of the router.
const (
	subscriptionsSuffix = "-subscriptions" // datagrams of nodes
	statsSuffix         = "-router-stats"
)

// Kinds of routers.
const (
	httpKind = "http"
	fastKind = "fastrouter"
	rawKind  = "rawrouter"
	sslKind  = "sslrouter"
)

// Router is the kind of the router that serves the socket: http, fastrouter, rawrouter, sslrouter. "": none does.
func (s *Socket) Router() string { return routerOf(s.Protocol) }

func routerOf(protocol string) string {
	switch protocol {
	case uwsgiopts.HTTPFront, uwsgiopts.RedirectFront:
		return httpKind
	case uwsgiopts.FastFront, uwsgiopts.RawFront, uwsgiopts.SSLFront:
		return protocol
	}
	for _, suffix := range []string{subscriptionsSuffix, statsSuffix} {
		if kind, is := strings.CutSuffix(protocol, suffix); is {
			return kind
		}
	}
	return ""
}

// ForSubscriptions tells whether nodes announce themselves to a router there.
func (s *Socket) ForSubscriptions() bool { return strings.HasSuffix(s.Protocol, subscriptionsSuffix) }

// ForRouterStats tells whether a router answers there with its statistics.
func (s *Socket) ForRouterStats() bool { return strings.HasSuffix(s.Protocol, statsSuffix) }

// openRouters opens what routers have beside the sockets where clients connect.
func (o *Opener) openRouters() error {
	c := o.Config
	for kind, r := range map[string]*uwsgiopts.Router{httpKind: &c.HTTPRouter, fastKind: &c.FastRouter, rawKind: &c.RawRouter, sslKind: &c.SSLRouter} {
		if !r.Routes() {
			continue
		}
		for _, address := range r.Servers {
			prefix := datagramPrefix
			if _, _, isInternet := SplitAddress(address); isInternet {
				prefix = udpPrefix
			}
			if _, err := o.open(uwsgiopts.Socket{Protocol: kind + subscriptionsSuffix, Address: prefix + address}); err != nil {
				return err
			}
		}
		if r.Stats != "" {
			if _, err := o.open(uwsgiopts.Socket{Protocol: kind + statsSuffix, Address: r.Stats}); err != nil {
				return err
			}
		}
	}
	return nil
}

// reportRouter says what a router serves.
func (o *Opener) reportRouter(kind string, s *Socket) {
	switch {
	case s.ForSubscriptions():
		o.Logf("uWSGI %s subscription server bound on %s fd %d", kind, s.Name, s.FD)
	case s.ForRouterStats():
	default:
		o.Logf("uWSGI %s bound on %s fd %d", kind, s.Name, s.FD)
	}
}
