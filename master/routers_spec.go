package master

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/routerspec"
	"envoxyd/internal/tlsspec"
	"envoxyd/master/privileges"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// routerPlan is what the processes of a kind are started with.
type routerPlan struct {
	spec       routerspec.Spec // without descriptors
	sockets    []*sockets.Socket
	tls        []*tlsspec.Socket // of each of the sockets; nil: clients speak in the clear
	cache      *os.File          // of addresses by key; nil: there is none
	credential *syscall.Credential
	dir        string
	count      int
}

// equal tells whether a router that was started with p can go on under other.
func (p *routerPlan) equal(other *routerPlan) bool {
	if !reflect.DeepEqual(p.spec, other.spec) || !reflect.DeepEqual(p.tls, other.tls) || !reflect.DeepEqual(p.credential, other.credential) ||
		p.count != other.count || p.dir != other.dir || p.cache != other.cache || len(p.sockets) != len(other.sockets) {
		return false
	}
	for i, s := range p.sockets {
		if s.FD != other.sockets[i].FD || s.Key != other.sockets[i].Key {
			return false
		}
	}
	return true
}

// routerPlans are the kinds that a generation has.
func routerPlans(g *generation) (plans []*routerPlan, err error) {
	c := g.cfg
	kinds := map[string]*uwsgiopts.Router{routerspec.KindHTTP: &c.HTTPRouter, routerspec.KindFast: &c.FastRouter, routerspec.KindRaw: &c.RawRouter,
		routerspec.KindSSL: &c.SSLRouter}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		plan, err := newRouterPlan(g, kind, kinds[kind])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		if plan != nil {
			plans = append(plans, plan)
		}
	}
	return plans, nil
}

// newRouterPlan is nil where nothing is to be routed.
func newRouterPlan(g *generation, kind string, r *uwsgiopts.Router) (*routerPlan, error) {
	p := &routerPlan{count: r.Processes, dir: appDir(g.hooks, g.cfg)}
	fronts := 0
	for _, s := range g.sockets {
		if s.Router() == kind {
			p.sockets, p.tls = append(p.sockets, s), append(p.tls, g.tlsSpec(s))
			if !s.ForSubscriptions() && !s.ForRouterStats() {
				fronts++
			}
		}
	}
	if fronts == 0 {
		return nil, nil
	}
	who := privileges.Of(g.cfg)
	if r.UID != "" || r.GID != "" {
		who = privileges.Settings{User: r.UID, Group: r.GID}
		if !who.Apply() {
			logf("%s-uid, %s-gid: only root may change users: the router runs as the master does", kind, kind)
		}
	}
	var err error
	if p.credential, err = who.Credential(); err != nil {
		return nil, err
	}
	if r.UseCache != nil {
		if p.cache = g.shared.cacheFile(*r.UseCache); p.cache == nil {
			return nil, fmt.Errorf("there is no cache %q", *r.UseCache)
		}
	}
	p.spec, err = routerSpec(g, kind, r)
	return p, err
}

// routerSpec is what the configuration says of a router.
func routerSpec(g *generation, kind string, r *uwsgiopts.Router) (routerspec.Spec, error) {
	c := g.cfg
	spec := routerspec.Spec{
		Kind: kind, Siblings: r.Processes > 1, Version: uwsgiopts.Version, StatsHTTP: c.StatsHTTP, XClient: c.XClient, ByHost: c.SSLRouterSNI,
		VassalNeeded: c.VassalRequired, CredentialDirs: inDir(workDir(c), c.CredentialDirs),
		Routing: routerspec.Routing{
			To: r.To, Pattern: r.Pattern, Fallback: r.Fallback, FallbackOnNoKey: r.FallbackOnNoKey, FallbackKey: r.FallbackKey, ForceKey: r.ForceKey,
			Algorithm: c.SubscriptionAlgo, DotSplit: c.SubscriptionDotsplit, ToleranceMillis: millis(c.SubscriptionTolerance), GraceMillis: millis(r.Gracetime),
			TimeoutMillis: millis(r.Timeout), MaxRetries: r.MaxRetries, MercyMillis: millis(mercy(c)), Quiet: r.Quiet, Cheap: r.Cheap,
			PostBuffering: r.PostBuffering, LimitPost: c.LimitPost, FilesLimit: c.BodyFiles,
			Resubscribe: r.Resubscribe, ResubscribeBind: r.ResubscribeBind,
		},
	}
	if r.Pattern == "" && r.Base != "" {
		spec.Routing.Base = paths.In(workDir(c), r.Base)
	}
	if r.PostDir != "" {
		spec.Routing.BufferDir = paths.In(workDir(c), r.PostDir)
	}
	if len(r.Servers) > 0 { // which count before nodes that are named
		spec.Routing.To = nil
	} else if r.UseSocket != nil {
		address, err := socketAddress(g, *r.UseSocket)
		if err != nil {
			return spec, err
		}
		spec.Routing.To = append([]string{address}, spec.Routing.To...)
	}
	if s := c.SignCheck; s != nil {
		spec.Signed = &routerspec.Signed{Digest: s.Digest, Dir: paths.In(workDir(c), s.Dir), ToleranceSeconds: int(c.SignTolerance / time.Second), SkipUIDs: c.SignSkipUIDs}
	}
	if kind == routerspec.KindHTTP {
		spec.HTTP = routerHTTP(c)
		spec.Routing.TimeoutMillis = millis(c.HTTPTimeout)
	}
	spec.Routing.ConnectMillis = spec.Routing.TimeoutMillis
	if r.ConnectTimeout > 0 {
		spec.Routing.ConnectMillis = millis(r.ConnectTimeout)
	}
	return spec, nil
}

func routerHTTP(c *uwsgiopts.Config) routerspec.HTTP {
	return routerspec.HTTP{
		Modifier1: c.HTTPModifier1, Modifier2: c.HTTPModifier2, Vars: c.HTTPVars, HeadMillis: millis(c.HTTPHeadersTimeout), KeepaliveMillis: millis(c.HTTPKeepalive),
		AutoChunked: c.HTTPAutoChunked, ManageExpect: c.HTTPManageExpect, ChunkedInput: c.HTTPChunkedInput, RawBody: c.HTTPRawBody, Source: c.HTTPSource,
		BackendHTTP: c.HTTPBackendHTTP, ProxyProtocol: c.HTTPProxyProtocol, Stud: c.HTTPStud, ServerNameHost: c.HTTPServerNameIsHost, KeepSlashes: c.KeepSlashes,
	}
}

func millis(d time.Duration) int { return int(d / time.Millisecond) }

func inDir(dir string, list []string) (all []string) {
	for _, path := range list {
		all = append(all, paths.In(dir, path))
	}
	return all
}

// socketAddress is where one of this instance's own sockets is reached.
func socketAddress(g *generation, number int) (string, error) {
	n := 0
	for _, s := range g.sockets {
		if !s.ForWorkers() || s.Protocol == "http-router" {
			continue
		}
		if n == number {
			if s.Path != "" {
				return s.Path, nil
			}
			return s.Name, nil
		}
		n++
	}
	return "", fmt.Errorf("there is no socket %d of the workers'", number)
}
