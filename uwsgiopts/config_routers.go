package uwsgiopts

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"envoxyd/protocol/subscription"
)

// RoutersConfig is about requests that this instance passes on to others, and how it has others pass theirs to it.
type RoutersConfig struct {
	HTTPRouter Router // of --http, where that has nodes: see Config.HTTPRouted
	FastRouter Router
	RawRouter  Router
	SSLRouter  Router
	XClient    bool // raw routers tell mail servers the client's address

	SSLRouterSNI bool // TLS routers choose servers by the host that the handshake names

	HTTPModifier1, HTTPModifier2 byte
	HTTPChunkedInput             bool
	HTTPRawBody                  bool
	HTTPSource                   bool
	HTTPBackendHTTP              bool
	HTTPProxyProtocol            bool // on --http
	HTTPStud                     []string

	SubscriptionAlgo      string
	SubscriptionTolerance time.Duration
	SubscriptionDotsplit  bool
	SignCheck             *SignCheck // nil: subscriptions need no signature
	SignTolerance         time.Duration
	SignSkipUIDs          []int
	CredentialDirs        []string
	VassalRequired        bool

	Subscribe          []Subscribe
	SubscribeFreq      time.Duration
	StartUnsubscribed  bool
	SubscriptionNotify string // address where acknowledgements come
	Weight             int
	subscribeModifier1 byte
}

func routersDefaults() RoutersConfig {
	one := Router{Processes: 1, Gracetime: 30 * time.Second, Timeout: time.Minute, MaxRetries: 3}
	return RoutersConfig{HTTPRouter: one, FastRouter: one, RawRouter: one, SSLRouter: one, SubscriptionTolerance: 17 * time.Second, SignTolerance: 24 * time.Hour,
		SubscribeFreq: 10 * time.Second}
}

// Router is a kind of router. Its listening sockets are in Config.Sockets.
type Router struct {
	Processes       int
	To              []string // nodes
	Servers         []string // addresses at which nodes subscribe
	Pattern, Base   string
	UseCache        *string // name of a cache with addresses by key; "": the first one; nil: not given
	UseSocket       *int    // number of a socket of this instance's own; nil: not given
	Fallback        []string
	FallbackOnNoKey bool
	FallbackKey     string
	ForceKey        string
	Gracetime       time.Duration
	Timeout         time.Duration // not of --http
	ConnectTimeout  time.Duration // 0: as Timeout
	MaxRetries      int
	Quiet, Cheap    bool
	Stats           string
	UID, GID        string
	Resubscribe     []string
	ResubscribeBind string
	PostBuffering   int64
	PostDir         string
}

// Routes tells whether there is something to route to.
func (r *Router) Routes() bool {
	return len(r.To)+len(r.Servers) > 0 || r.Pattern != "" || r.Base != "" || r.UseCache != nil || r.UseSocket != nil || len(r.Fallback) > 0 && r.FallbackOnNoKey
}

// Protocols of sockets that routers serve.
const (
	HTTPFront     = "http-front"     // --http, where it has nodes
	RedirectFront = "redirect-front" // --http-to-https, where --http has nodes
	FastFront     = "fastrouter"
	RawFront      = "rawrouter"
	SSLFront      = "sslrouter"
)

// HTTPRouted tells whether --http hands requests to other servers. Otherwise the workers serve it themselves.
func (c *Config) HTTPRouted() bool { return c.HTTPRouter.Routes() }

// fronts counts the sockets that routers serve.
func (c *Config) fronts() (n int) {
	for _, s := range c.Sockets {
		if slices.Contains([]string{HTTPFront, RedirectFront, FastFront, RawFront, SSLFront}, s.Protocol) {
			n++
		}
	}
	return n
}

// SignCheck is how signatures of subscriptions are checked.
type SignCheck struct{ Digest, Dir string }

// setSignCheck reads DIGEST:DIRECTORY.
func setSignCheck(c *Config, g given) error {
	digest, dir, ok := strings.Cut(g.text, ":")
	if !ok || dir == "" {
		return fmt.Errorf("option %q: %q is not DIGEST:DIRECTORY", g.name, g.text)
	}
	if _, err := subscription.Digest(digest); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.SignCheck = &SignCheck{digest, dir}
	return nil
}

func setSignSkipUID(c *Config, g given) error {
	uid, err := LookupUID(g.text)
	if err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.SignSkipUIDs = append(c.SignSkipUIDs, uid)
	return nil
}

// finishRouters gives --http its nodes, and tells of options that mean nothing without any.
func (p *parser) finishRouters() error {
	c := p.cfg
	if c.subscribeModifier1 > 0 {
		for i := range c.Subscribe {
			if c.Subscribe[i].Modifier1 == 0 {
				c.Subscribe[i].Modifier1 = c.subscribeModifier1
			}
		}
	}
	for _, f := range families {
		if err := p.finishRouter(f.name, f.of(c)); err != nil {
			return err
		}
	}
	if !c.HTTPRouted() {
		return p.finishUnrouted()
	}
	switch {
	case c.HTTPAutoGzip:
		return p.refuseValue("http-auto-gzip", "responses of other servers are not compressed: enable compression there")
	}
	for i := range c.Sockets {
		switch s := &c.Sockets[i]; s.Protocol {
		case protocolRouter:
			s.Protocol = HTTPFront
		case protocolToHTTPS:
			s.Protocol = RedirectFront
		}
	}
	return nil
}

// finishRouter refuses what one router cannot do.
func (p *parser) finishRouter(name string, r *Router) error {
	c := p.cfg
	ways := 0
	for _, way := range []bool{r.UseCache != nil, r.Pattern != "", r.Base != "", len(r.Servers) > 0, len(r.To) > 0 || r.UseSocket != nil} {
		if way {
			ways++
		}
	}
	if ways > 1 { // as in uWSGI, which says nothing
		p.note(c.OriginOf(name+"-to", ""), "%s: a cache, a pattern, a directory, subscriptions and %s-to are mutually exclusive; the first of these that is given is used", name, name)
	}
	if r.Processes < 1 || r.Processes > maxCores {
		return p.refuseValue(name+"-processes", "%d processes: must be between 1 and %d", r.Processes, maxCores)
	}
	if r.Stats == "" && len(r.Servers)+len(r.To) == 0 {
		return nil
	}
	if name != "http" {
		front := map[string]string{"fastrouter": FastFront, "rawrouter": RawFront, "sslrouter": SSLFront}[name]
		if !slices.ContainsFunc(c.Sockets, func(s Socket) bool { return s.Protocol == front }) {
			return refuse(c.OriginOf(name+"-to", ""), "a %s has nodes, but no address to listen on: add --%s", name, name)
		}
	}
	return nil
}

// finishRouterCaches refuses caches that are not there.
func (p *parser) finishRouterCaches() error {
	c := p.cfg
	for _, f := range families {
		name := f.of(c).UseCache
		if name == nil || c.hasCache(*name) {
			continue
		}
		return p.refuseValue(f.name+"-use-cache", "there is no cache %q of this instance: name one with cache2", *name)
	}
	return nil
}

// finishUnrouted is about --http whose requests the workers serve.
func (p *parser) finishUnrouted() error {
	c := p.cfg
	switch {
	case c.HTTPModifier1 != 0 && c.HTTPModifier1 != ModifierCGI:
		return p.refuseValue("http-modifier1", "modifier %d is not served: only 0 (Python) and 9 (CGI) are, unless http-to names another server", c.HTTPModifier1)
	case c.HTTPSource:
		return p.refuseValue("http-manage-source", "only a router forwards endless streams: add --http-to")
	case len(c.HTTPStud) > 0:
		return p.refuseValue("http-stud-prefix", "only a router reads it: add --http-to, or have the TLS proxy write PROXY lines (http-enable-proxy-protocol)")
	case c.HTTPBackendHTTP:
		return p.refuseValue("http-backend-http", "no other server is configured: add --http-to")
	}
	c.Modifier1.HTTP = c.HTTPModifier1
	for _, name := range []string{"http-stats-server", "http-uid", "http-gid", "http-resubscribe", "http-fallback", "http-post-buffering", "http-cheap"} {
		if e := p.lastOf(name); e != nil {
			p.note(e.Origin, "option %q has no effect: workers serve HTTP themselves unless http-to names another server", e.Name)
		}
	}
	return nil
}

// smallNumber is a number of one byte.
func smallNumber(field func(c *Config) *byte) effect {
	return Int.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxUint8)
		*field(c) = byte(n)
		return err
	})
}

func setSubscribeModifier1(c *Config, g given) error {
	n, err := strconv.ParseUint(g.text, 10, 8)
	if err != nil {
		return fmt.Errorf("option %q: %q is not between 0 and 255", g.name, g.text)
	}
	c.subscribeModifier1 = byte(n)
	return nil
}

func setStud(c *Config, g given) error {
	if _, err := netip.ParseAddr(g.text); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.HTTPStud = append(c.HTTPStud, g.text)
	return nil
}

// setWeight takes what a router counts with at most.
func setWeight(c *Config, g given) error {
	n, err := g.integer(math.MaxInt64)
	c.Weight = int(min(n, math.MaxInt32))
	return err
}

func setAutoWeight(c *Config, g given) error {
	if g.on() {
		c.Weight = runtime.NumCPU()
	}
	return nil
}
