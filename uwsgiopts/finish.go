package uwsgiopts

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// finish turns what was collected into the Config's last fields and refuses what cannot be served.
func (p *parser) finish() error {
	for _, e := range p.pairs {
		p.cfg.Pairs = append(p.cfg.Pairs, e.Pair)
	}
	p.services()
	p.cfg.Magic = p.magic.letters
	p.finishLogging()
	if err := p.tolerate(p.environmentChanges()); err != nil {
		return err
	}
	for _, check := range []func() error{p.sockets, p.bareAddresses, p.finishRouters} {
		if err := p.tolerate(check()); err != nil {
			return err
		}
	}
	if !p.cfg.Check { // which reports them by themselves
		p.cfg.Notices = append(p.cfg.Notices, p.cfg.LeftOut...)
	}
	p.unknownNames()
	p.leftovers()
	for _, validate := range []func() error{
		p.finishSharing, p.finishRouterCaches, p.finishTLS, p.finishLoops, p.validateCheckCache, p.finishRouting, p.validateNumbers, p.validateCheaper, p.validateMapSockets,
		p.validateCGI, p.validateCgroups, p.validateListen, p.validateFarms, p.validateAlarms, p.finishTracing, p.refuseAimless,
	} {
		if err := p.tolerate(validate()); err != nil {
			return err
		}
	}
	return nil
}

// services reads the two keys of an Envoxy service; the last of each counts.
func (p *parser) services() {
	for _, e := range p.pairs {
		switch e.Name {
		case "conf":
			p.cfg.Conf = e.Value
		case "mode":
			p.cfg.Mode = e.Value
		}
	}
}

// environmentChanges puts ienv and early-envdir before env, and envdir after it.
func (p *parser) environmentChanges() error {
	p.cfg.Env = slices.Concat(p.env.changes, p.cfg.Env)
	for _, e := range p.envdirs {
		changes, err := p.envdir(e.Value)
		if err != nil {
			return refuseBecause(e.Origin, err)
		}
		p.cfg.Env = append(p.cfg.Env, changes...)
	}
	removed := map[string]bool{}
	for _, kv := range p.cfg.Env {
		name, _, set := strings.Cut(kv, "=")
		removed[name] = !set
	}
	for name, is := range removed {
		if is {
			p.cfg.Unenv = append(p.cfg.Unenv, name)
		}
	}
	slices.Sort(p.cfg.Unenv)
	return nil
}

// validateNumbers refuses sizes that cannot be served.
func (p *parser) validateNumbers() error {
	const most = maxCores
	c := p.cfg
	switch {
	case c.Processes > most:
		return p.refuseValue("processes", "%d processes: must be at most %d", c.Processes, most)
	case c.Threads > most:
		return p.refuseValue("threads", "%d threads: must be at most %d", c.Threads, most)
	case c.BufferSize > 1<<30:
		return p.refuseValue("buffer-size", "%d bytes are too many", c.BufferSize)
	}
	if c.MaxWorkerLifetime > 0 && c.MaxWorkerLifetime <= c.MinWorkerLifetime {
		return p.refuseValue("max-worker-lifetime", "%d seconds: must be more than min-worker-lifetime (%d)",
			c.MaxWorkerLifetime/time.Second, c.MinWorkerLifetime/time.Second)
	}
	if c.Processes == 0 && c.OnlySupervises() {
		c.Processes = 1 // no worker serves, and sizes are derived from it
	}
	if c.Processes == 0 {
		return p.refuseValue("processes", "processes must be at least 1")
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	return nil
}

// validateListen: bind would cut the queue without a word.
func (p *parser) validateListen() error {
	if limit, ok := somaxconn(); ok && p.cfg.Listen > limit {
		return p.refuseValue("listen", "%d is more than the kernel allows: net.core.somaxconn is %d", p.cfg.Listen, limit)
	}
	return nil
}

// refuseAimless tells the users of envoxyd what uWSGI's need-app would say too late.
func (p *parser) refuseAimless() error {
	const upstreamStatus = 246
	c := p.cfg
	if c.Program == "uwsgi" || c.Profile || c.NoServer || c.Asks() || c.CGI() || p.namesApp() || p.fileRead || len(c.Sockets) == 0 {
		return nil
	}
	for _, s := range c.Sockets {
		if !s.Routes() {
			return nil
		}
	}
	return &ExitError{Status: upstreamStatus, Err: fmt.Errorf(
		"nothing to serve: say --set conf=/path/envoxy.json, or name an application (--module, --wsgi-file)")}
}

// refuseValue blames the last pair that gave an option.
func (p *parser) refuseValue(option, format string, args ...any) error {
	o := Origin{}
	if e := p.lastOf(option); e != nil {
		o = e.Origin
	}
	return refuse(o, "option %q: %s", option, fmt.Sprintf(format, args...))
}

// lastOf returns the last pair that gave an option under any of its names; nil: none did.
func (p *parser) lastOf(option string) *entry {
	names := p.options.find(option).Names
	for _, e := range slices.Backward(p.pairs) {
		if slices.Contains(names, e.Name) {
			return e
		}
	}
	return nil
}

// somaxconn is the kernel's limit for listening queues.
func somaxconn() (limit int, ok bool) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return 0, false
	}
	limit, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return limit, err == nil
}
