package uwsgiopts

import (
	"math"
	"slices"
	"time"
)

const (
	noTerminals = "terminals are not served; use ssh"
	noTunnels   = "networks are not tunnelled; use WireGuard or the container runtime"
)

// family is the options that all kinds of routers have, under their own prefixes.
type family struct {
	name  string // prefix of the options
	title string // in the documentation
	of    func(c *Config) *Router
}

func (f family) texts(field func(r *Router) *[]string) effect {
	return list(func(c *Config) *[]string { return field(f.of(c)) })
}

func (f family) text(field func(r *Router) *string) effect {
	return text(func(c *Config) *string { return field(f.of(c)) })
}

func (f family) flag(field func(r *Router) *bool) effect {
	return flagOn(func(c *Config) *bool { return field(f.of(c)) })
}

func (f family) seconds(field func(r *Router) *time.Duration) effect {
	return seconds(func(c *Config) *time.Duration { return field(f.of(c)) })
}

func (f family) number(field func(r *Router) *int) effect {
	return number(func(c *Config) *int { return field(f.of(c)) })
}

// useSocket takes the number of a socket; without one it is the first.
func (f family) useSocket(c *Config, g given) error {
	n := int64(0)
	if !g.flag && g.text != "" {
		var err error
		if n, err = g.integer(math.MaxInt32); err != nil {
			return err
		}
	}
	socket := int(n)
	f.of(c).UseSocket = &socket
	return nil
}

// useCache takes the name of a cache; without one it is the first.
func (f family) useCache(c *Config, g given) error {
	name := ""
	if !g.flag {
		name = g.text
	}
	f.of(c).UseCache = &name
	return nil
}

// common are the options that every kind has.
func (f family) common() []Option {
	name := func(suffix string) []string { return []string{f.name + suffix} }
	return []Option{
		{Names: []string{f.name + "-processes", f.name + "-workers"}, Arg: RequiredArg, Doc: "number of processes of the " + f.title, Value: f.number(func(r *Router) *int { return &r.Processes })},
		{Names: name("-zerg"), Arg: RequiredArg, Doc: "take the listening sockets of the " + f.title + " from a zerg server", Unsupported: "a router has listening sockets of its own: name them with " + f.name},
		{Names: name("-use-cache"), Arg: OptionalArg, Doc: "let the " + f.title + " look addresses up in this cache", Value: Text.by(f.useCache)},
		{Names: name("-use-pattern"), Arg: RequiredArg, Doc: "let the " + f.title + " make addresses of keys by this pattern, in which %s is the key", Value: f.text(func(r *Router) *string { return &r.Pattern })},
		{Names: name("-use-base"), Arg: RequiredArg, Doc: "let the " + f.title + " look for sockets that are named for keys in this directory", Value: f.text(func(r *Router) *string { return &r.Base })},
		{Names: name("-fallback"), Arg: RequiredArg, Doc: "address that the " + f.title + " uses when no node can be reached", Value: f.texts(func(r *Router) *[]string { return &r.Fallback })},
		{Names: name("-use-code-string"), Arg: RequiredArg, Doc: "let the " + f.title + " ask this code for addresses", Unsupported: "a router runs no code: have nodes subscribe (" + f.name + "-subscription-server), or code elsewhere keep addresses in a cache (" + f.name + "-use-cache)"},
		{Names: name("-to"), Arg: RequiredArg, Doc: "let the " + f.title + " hand requests to the server at this address", Value: f.texts(func(r *Router) *[]string { return &r.To })},
		{Names: name("-gracetime"), Arg: RequiredArg, Doc: "seconds that the " + f.title + " leaves a server alone for that could not be reached", Value: f.seconds(func(r *Router) *time.Duration { return &r.Gracetime })},
		{Names: name("-events"), Arg: RequiredArg, Value: Int, Doc: "number of events that the " + f.title + " takes at once", NoOp: "all processors are used"},
		{Names: name("-quiet"), Arg: RequiredArg, Doc: "do not log connections of the " + f.title + " that fail", Value: f.flag(func(r *Router) *bool { return &r.Quiet })},
		{Names: name("-cheap"), Doc: "accept nothing while no server is there for the " + f.title, Value: f.flag(func(r *Router) *bool { return &r.Cheap })},
		{Names: name("-subscription-server"), Arg: RequiredArg, Doc: "let servers subscribe to the " + f.title + " at this address: UDP, or a unix socket", Value: f.texts(func(r *Router) *[]string { return &r.Servers })},
		{Names: f.statsNames(), Arg: RequiredArg, Doc: "serve statistics of the " + f.title + " on this address", Value: f.text(func(r *Router) *string { return &r.Stats })},
		{Names: name("-harakiri"), Arg: RequiredArg, Value: Int, Doc: "end the " + f.title + " when it hangs for this many seconds", NoOp: "connections do not block each other, and each has its timeouts"},
		{Names: name("-buffer-size"), Arg: RequiredArg, Value: Bytes, Doc: "size of the buffers of the " + f.title + ", in bytes", NoOp: "buffers grow as needed"},
	}
}

// statsNames are the names of the statistics, which come in two orders.
func (f family) statsNames() []string {
	names := []string{f.name + "-stats-server", f.name + "-stats", f.name + "-ss"}
	if f.name == "rawrouter" || f.name == "sslrouter" {
		names[0], names[1] = names[1], names[0]
	}
	return names
}

var (
	httpFamily = family{"http", "HTTP router", func(c *Config) *Router { return &c.HTTPRouter }}
	fastFamily = family{"fastrouter", "fast router", func(c *Config) *Router { return &c.FastRouter }}
	rawFamily  = family{"rawrouter", "raw router", func(c *Config) *Router { return &c.RawRouter }}
	sslFamily  = family{"sslrouter", "TLS router", func(c *Config) *Router { return &c.SSLRouter }}
)

// families are all kinds of routers.
var families = []family{httpFamily, fastFamily, rawFamily, sslFamily}

// routersOptions declares: Other routers.
func routersOptions() []Option {
	return slices.Concat(fastOptions(), rawOptions(), tlsRouterOptions(), terminalOptions(), tunnelOptions())
}

func fastOptions() []Option {
	f := fastFamily
	return append([]Option{{Names: []string{"fastrouter"}, Arg: RequiredArg, Doc: "route uwsgi requests from this address to other servers", Value: socket(FastFront)}}, append(f.common(), []Option{
		{Names: []string{"fastrouter-use-socket"}, Arg: OptionalArg, Doc: "let the fast router hand requests to this socket of the instance, by its number", Value: Text.by(f.useSocket)},
		{Names: []string{"fastrouter-subscription-slot"}, Arg: RequiredArg, Doc: "number of subscriptions to the fast router", NoOp: "subscriptions use the memory they need"},
		{Names: []string{"fastrouter-timeout"}, Arg: RequiredArg, Doc: "seconds that the fast router waits for either side", Value: f.seconds(func(r *Router) *time.Duration { return &r.Timeout })},
		{Names: []string{"fastrouter-post-buffering"}, Arg: RequiredArg, Doc: "bodies from this size on are taken in as a whole by the fast router before a server is asked, in bytes", Value: size(func(c *Config) *int64 { return &c.FastRouter.PostBuffering })},
		{Names: []string{"fastrouter-post-buffering-dir"}, Arg: RequiredArg, Doc: "directory where the fast router keeps large bodies", Value: f.text(func(r *Router) *string { return &r.PostDir })},
		{Names: []string{"fastrouter-uid"}, Arg: RequiredArg, Doc: "user that the fast router runs as", Value: f.text(func(r *Router) *string { return &r.UID })},
		{Names: []string{"fastrouter-gid"}, Arg: RequiredArg, Doc: "group that the fast router runs as", Value: f.text(func(r *Router) *string { return &r.GID })},
		{Names: []string{"fastrouter-resubscribe"}, Arg: RequiredArg, Doc: "pass subscriptions of the fast router on to the router at this address", Value: f.texts(func(r *Router) *[]string { return &r.Resubscribe })},
		{Names: []string{"fastrouter-resubscribe-bind"}, Arg: RequiredArg, Doc: "address that the fast router passes subscriptions on from", Value: f.text(func(r *Router) *string { return &r.ResubscribeBind })},
		{Names: []string{"fastrouter-fallback-on-no-key"}, Doc: "use the fallback for requests without a key that is known, too", Value: f.flag(func(r *Router) *bool { return &r.FallbackOnNoKey })},
		{Names: []string{"fastrouter-force-key"}, Arg: RequiredArg, Doc: "key of all requests to the fast router", Value: f.text(func(r *Router) *string { return &r.ForceKey })},
		{Names: []string{"fastrouter-emperor-socket"}, Arg: RequiredArg, Doc: "socket of an emperor that starts instances on demand", Unsupported: "an emperor starts instances by itself when somebody connects to them (emperor-on-demand-directory)"},
		{Names: []string{"fastrouter-defer-connect-timeout"}, Arg: RequiredArg, Value: Int, Doc: "seconds to wait for such an instance", NoOp: "no emperor is asked for instances"},
		{Names: []string{"fastrouter-max-retries"}, Arg: RequiredArg, Doc: "number of other servers that the fast router tries", Value: f.number(func(r *Router) *int { return &r.MaxRetries })},
		{Names: []string{"fastrouter-subscription-fallback-key"}, Arg: RequiredArg, Doc: "key that the fast router uses when there is no subscription for another", Value: f.text(func(r *Router) *string { return &r.FallbackKey })},
	}...)...)
}

func rawOptions() []Option {
	f := rawFamily
	return append([]Option{{Names: []string{"rawrouter"}, Arg: RequiredArg, Doc: "route TCP connections from this address to other servers", Value: socket(RawFront)}}, append(f.common(), []Option{
		{Names: []string{"rawrouter-use-socket"}, Arg: OptionalArg, Doc: "let the raw router hand connections to this socket of the instance, by its number", Value: Text.by(f.useSocket)},
		{Names: []string{"rawrouter-max-retries"}, Arg: RequiredArg, Doc: "number of other servers that the raw router tries", Value: f.number(func(r *Router) *int { return &r.MaxRetries })},
		{Names: []string{"rawrouter-subscription-slot"}, Arg: RequiredArg, Doc: "number of subscriptions to the raw router", NoOp: "subscriptions use the memory they need"},
		{Names: []string{"rawrouter-timeout"}, Arg: RequiredArg, Doc: "seconds that the raw router waits until anything moves", Value: f.seconds(func(r *Router) *time.Duration { return &r.Timeout })},
		{Names: []string{"rawrouter-xclient"}, Doc: "announce clients by XCLIENT, for mail servers", Value: flagOn(func(c *Config) *bool { return &c.XClient })},
	}...)...)
}

func tlsRouterOptions() []Option {
	f := sslFamily
	return append([]Option{
		{Names: []string{"sslrouter"}, Arg: RequiredArg, Doc: "end TLS on this address, and route what it carries to other servers: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]", Value: secureSocket(SSLFront)},
		{Names: []string{"sslrouter2"}, Arg: RequiredArg, Doc: "as sslrouter: addr=ADDRESS,cert=CERT,key=KEY[,ciphers=CIPHERS][,clientca=CLIENT_CA]", Value: namedSecureSocket(SSLFront)},
		{Names: []string{"sslrouter-session-context"}, Arg: RequiredArg, Doc: "context of TLS sessions", NoOp: "a session is of use only on the socket, for the host, where it began"},
		{Names: []string{"sslrouter-sni"}, Doc: "let the TLS router choose servers by the host that a client asks for", Value: flagOn(func(c *Config) *bool { return &c.SSLRouterSNI })},
		{Names: []string{"sslrouter-use-socket"}, Arg: OptionalArg, Doc: "let the TLS router hand connections to this socket of the instance, by its number", Value: Text.by(f.useSocket)},
		{Names: []string{"sslrouter-max-retries"}, Arg: RequiredArg, Doc: "number of other servers that the TLS router tries", Value: f.number(func(r *Router) *int { return &r.MaxRetries })},
		{Names: []string{"sslrouter-timeout"}, Arg: RequiredArg, Doc: "seconds that the TLS router waits until anything moves", Value: f.seconds(func(r *Router) *time.Duration { return &r.Timeout })},
	}, f.common()...)
}

// terminalOptions are all refused.
func terminalOptions() []Option {
	return []Option{
		{Names: []string{"forkpty-router", "forkptyrouter"}, Arg: RequiredArg, Value: List, Doc: "serve terminals on this address", Unsupported: noTerminals},
		{Names: []string{"forkpty-urouter", "forkptyurouter"}, Arg: RequiredArg, Doc: "serve terminals, with signals, on this address", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-command", "forkpty-router-command", "forkptyrouter-cmd", "forkpty-router-cmd"}, Arg: RequiredArg, Doc: "program to run on the terminals", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-rows"}, Arg: RequiredArg, Value: Int16, Doc: "rows of the terminals", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-cols"}, Arg: RequiredArg, Value: Int16, Doc: "columns of the terminals", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-processes", "forkptyrouter-workers"}, Arg: RequiredArg, Value: Int, Doc: "number of processes of the terminal router", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-zerg"}, Arg: RequiredArg, Doc: "addresses of a zerg server to route to by the terminal router", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-fallback"}, Arg: RequiredArg, Value: List, Doc: "address that the terminal router uses when there is no other", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-events"}, Arg: RequiredArg, Value: Int, Doc: "number of events that the terminal router takes at once", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-cheap"}, Value: Flag, Doc: "stop listening when the terminal router has no address to route to", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-timeout"}, Arg: RequiredArg, Value: Int, Doc: "seconds that the terminal router waits for both sides", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-stats", "forkptyrouter-stats-server", "forkptyrouter-ss"}, Arg: RequiredArg, Doc: "serve statistics of the terminal router on this address", Unsupported: noTerminals},
		{Names: []string{"forkptyrouter-harakiri"}, Arg: RequiredArg, Value: Int, Doc: "end the terminal router when a connection takes longer than this many seconds", Unsupported: noTerminals},
	}
}

// tunnelOptions are all refused.
func tunnelOptions() []Option {
	return []Option{
		{Names: []string{"tuntap-router"}, Arg: RequiredArg, Value: List, Doc: "route packets of a tunnel", Unsupported: noTunnels},
		{Names: []string{"tuntap-device"}, Arg: RequiredArg, Value: List, Doc: "make a tunnel device", Unsupported: noTunnels},
		{Names: []string{"tuntap-use-credentials"}, Arg: OptionalArg, Doc: "check credentials of tunnels", Unsupported: noTunnels},
		{Names: []string{"tuntap-router-firewall-in"}, Arg: RequiredArg, Doc: "rule for packets that come in", Unsupported: noTunnels},
		{Names: []string{"tuntap-router-firewall-out"}, Arg: RequiredArg, Doc: "rule for packets that go out", Unsupported: noTunnels},
		{Names: []string{"tuntap-router-route"}, Arg: RequiredArg, Doc: "route of packets", Unsupported: noTunnels},
		{Names: []string{"tuntap-router-stats"}, Arg: RequiredArg, Doc: "serve statistics of the tunnel on this address", Unsupported: noTunnels},
		{Names: []string{"tuntap-device-rule"}, Arg: RequiredArg, Value: List, Doc: "rule for packets of the device", Unsupported: noTunnels},
	}
}
