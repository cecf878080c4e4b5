package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/probe"
)

// How often connectors are polled, and for how long, unless health.interval and
// health.timeout say otherwise.
const (
	probeInterval = 10 * time.Second
	probeTimeout  = 2 * time.Second
)

// health polls connectors in the background and keeps what it finds where workers
// read it.
type health struct {
	g    *Gateway
	note *shm.Note

	mu         sync.Mutex
	every      time.Duration // between two looks
	conditions map[string]gatewayspec.Condition
	probes     map[string]*prober
}

type prober struct {
	what   string // a description that changes when the connector does
	cancel context.CancelFunc
	done   chan struct{}
}

func newHealth(g *Gateway, note *shm.Note) *health {
	return &health{g: g, note: note, conditions: map[string]gatewayspec.Condition{}, probes: map[string]*prober{}}
}

// reconfigure starts and ends probes as the configuration has them.
func (h *health) reconfigure(c *conf) {
	wanted := h.wanted(c)
	h.mu.Lock()
	var ended []*prober
	for name, running := range h.probes {
		if w, stays := wanted[name]; stays && w.what == running.what {
			continue
		}
		running.cancel()
		ended = append(ended, running)
		delete(h.probes, name)
		delete(h.conditions, name)
	}
	h.mu.Unlock()
	for _, one := range ended {
		<-one.done
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	interval, timeout := c.Health.Interval.Seconds(probeInterval), c.Health.Timeout.Seconds(probeTimeout)
	h.every = interval
	for name, w := range wanted {
		if h.probes[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(h.g.ctx)
		one := &prober{what: w.what, cancel: cancel, done: make(chan struct{})}
		h.probes[name] = one
		h.conditions[name] = gatewayspec.Condition{Status: gatewayspec.Unknown, Checked: uptime(), Since: seconds(time.Now())}
		go func() { // waited for by reconfigure and close
			defer close(one.done)
			defer w.probe.Close()
			h.run(ctx, name, w.probe, interval, timeout)
		}()
	}
	h.write()
}

// run polls again and again, at slightly different intervals: many services that were
// started together must not poll together.
func (h *health) run(ctx context.Context, name string, p probe.Probe, interval, timeout time.Duration) {
	if broker, ok := p.(brokerProbe); ok {
		interval = min(interval, time.Second) // it costs nothing
		broker.await(ctx)
	}
	for {
		h.poll(ctx, name, p, timeout)
		wait := interval*9/10 + time.Duration(rand.Int64N(int64(interval)/5+1))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (h *health) poll(ctx context.Context, name string, p probe.Probe, timeout time.Duration) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	err := p.Check(limited)
	if ctx.Err() != nil {
		return
	}
	found := gatewayspec.Condition{Status: gatewayspec.Up, Checked: uptime(), Since: seconds(time.Now()), Millis: float64(time.Since(began).Microseconds()) / 1000}
	if err != nil {
		found.Status, found.Error = gatewayspec.Down, err.Error()
	}
	h.mu.Lock()
	if ctx.Err() != nil { // the connector is no longer configured
		h.mu.Unlock()
		return
	}
	before := h.conditions[name]
	if before.Status == found.Status {
		found.Since = before.Since
	}
	h.conditions[name] = found
	h.write()
	h.mu.Unlock()
	if before.Status != found.Status && (before.Status != gatewayspec.Unknown || err != nil) {
		if err != nil {
			h.g.errorf("[HEALTH] %s is down: %v", name, err)
		} else {
			h.g.logf("[HEALTH] %s is up", name)
		}
	}
}

// refresh keeps the counts of events up to date where workers read them, until ctx ends.
func (h *health) refresh(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var before gatewayspec.Events
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := h.g.eventCounts(); now != before {
			before = now
			h.mu.Lock()
			h.write()
			h.mu.Unlock()
		}
	}
}

func (g *Gateway) eventCounts() gatewayspec.Events {
	waiting, working := g.queue.counts()
	n := g.counting.totals()
	return gatewayspec.Events{
		Received: n[gatewayspec.CountReceived], Handled: n[gatewayspec.CountHandled], Failed: n[gatewayspec.CountFailed],
		Redelivered: n[gatewayspec.CountRedelivered], Dropped: n[gatewayspec.CountDropped], Waiting: waiting, Working: working,
	}
}

// write is called with h.mu held.
func (h *health) write() {
	err := h.note.WriteJSON(gatewayspec.Health{Connectors: h.conditions, Every: h.every.Seconds(), Events: h.g.eventCounts()})
	if err != nil {
		h.g.errorf("[HEALTH] %v", err)
	}
}

func (h *health) close() {
	h.mu.Lock()
	probes := maps.Clone(h.probes)
	clear(h.probes)
	h.mu.Unlock()
	for _, one := range probes {
		one.cancel()
		<-one.done
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// uptime is what Python's time.monotonic() returns at the same time.
func uptime() float64 { return float64(monotime.Now()) / 1e9 }

// wantedProbe is a probe that the configuration asks for.
type wantedProbe struct {
	what  string
	probe probe.Probe
}

// wanted makes a probe for each configured connector, by its place in envoxy.json.
func (h *health) wanted(c *conf) map[string]wantedProbe {
	found := map[string]wantedProbe{}
	add := func(section, key string, p probe.Probe, what string) {
		found[section+"."+key] = wantedProbe{fmt.Sprint(what, c.Health), p}
	}
	for key, b := range c.MQTT {
		add("mqtt", key, brokerProbe{h.g, key}, b.Bind)
	}
	for key, p := range c.ZMQ {
		network, address := p.address()
		add("zmq", key, probe.TCP{Network: network, Address: address}, network+address)
	}
	for key, text := range c.PostgreSQL {
		if cfg, err := pool.ConnConfig(key, text); err == nil { // "default" is a name, not a server
			add("postgres", key, &probe.PostgreSQL{Config: cfg}, string(text))
		}
	}
	redis := maps.Clone(c.Redis)
	if c.Cache != nil {
		if redis == nil {
			redis = map[string]storeConf{}
		}
		redis["cache"] = *c.Cache
	}
	for key, s := range redis {
		p, err := s.redis()
		if err != nil {
			h.g.errorf("[HEALTH] redis.%s: %v", key, err)
			continue
		}
		add("redis", key, p, fmt.Sprint(p.Network, p.Address, p.User, p.Password, s.TLS, s.Bind))
	}
	for key, s := range c.CouchDB {
		if u, err := url.Parse(s.Bind); err == nil && u.Host != "" {
			add("couchdb", key, probe.HTTP{URL: s.Bind, User: s.User, Password: string(s.Passwd)}, s.Bind+string(s.Passwd))
		}
	}
	for key, s := range c.AMQP {
		address := s.address("127.0.0.1", "5672")
		add("amqp", key, probe.TCP{Address: address}, address)
	}
	return found
}

// redis reads a section of redis_servers: host:port, redis://, rediss:// or unix://.
func (s *storeConf) redis() (probe.Redis, error) {
	p := probe.Redis{Address: s.address("127.0.0.1", "6379"), User: s.User, Password: string(s.Passwd)}
	if p.Password == "" {
		p.Password = string(s.Password)
	}
	secure := bool(s.TLS)
	if u, err := url.Parse(s.Bind); err == nil && strings.Contains(s.Bind, "://") {
		if u.User != nil {
			p.User = u.User.Username()
			p.Password, _ = u.User.Password()
		}
		switch u.Scheme {
		case "unix":
			p.Network, p.Address = "unix", u.Path
		case "rediss":
			secure = true
		}
		if p.Network == "" && u.Port() == "" {
			p.Address = net.JoinHostPort(u.Hostname(), "6379")
		}
	}
	if !secure {
		return p, nil
	}
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return p, err
	}
	p.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if s.CertPath != "" {
		text, err := os.ReadFile(s.CertPath)
		if err != nil {
			return p, err
		}
		p.TLS.RootCAs = x509.NewCertPool()
		p.TLS.RootCAs.AppendCertsFromPEM(text)
	}
	return p, nil
}

// address is bind, or host and port.
func (s *storeConf) address(host, port string) string {
	if s.Bind != "" {
		if u, err := url.Parse(s.Bind); err == nil && u.Host != "" {
			return u.Host
		}
		return s.Bind
	}
	if s.Host != "" {
		host = s.Host
	}
	if s.Port > 0 {
		port = fmt.Sprint(int(s.Port))
	}
	return net.JoinHostPort(host, port)
}

// brokerProbe asks the connection that there is.
type brokerProbe struct {
	g   *Gateway
	key string
}

// await waits for the first attempt to connect.
func (p brokerProbe) await(ctx context.Context) {
	if b := p.g.broker(p.key); b != nil {
		select {
		case <-b.client.Ready():
		case <-ctx.Done():
		}
	}
}

// Check returns at once.
func (p brokerProbe) Check(context.Context) error {
	b := p.g.broker(p.key)
	if b == nil {
		return fmt.Errorf("there is no connection")
	}
	for _, client := range b.clients() {
		if client.Up() {
			continue
		}
		if problem := client.Problem(); problem != "" {
			return fmt.Errorf("%s", problem)
		}
		return fmt.Errorf("not connected yet")
	}
	return nil
}

// Close does nothing: the connection is not the probe's.
func (brokerProbe) Close() {}
