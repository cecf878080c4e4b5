package uwsgiopts

import "slices"

// builtInProfile is what an Envoxy service gets without saying it. Whatever else is
// said comes later in the list and wins.
var builtInProfile = []Pair{
	{Name: "module", Value: "run:app"}, {Name: "master", Value: "true"}, {Name: "processes", Value: "4"},
	{Name: "enable-threads", Value: "true"}, {Name: "harakiri", Value: "90"}, {Name: "harakiri-verbose", Value: "true"},
	{Name: "die-on-term", Value: "true"}, {Name: "vacuum", Value: "true"}, {Name: "disable-logging", Value: "true"},
}

// appOptions name an application.
var appOptions = []string{"asgi", "asgi-file",
	"module", "wsgi-file", "mount", "worker-mount", "eval", "pecan", "paste", "ini-paste", "ini-paste-logged",
	"web3", "pump", "wsgi-lite", "python-raw", "vhost", "dynamic-apps",
}

// applyProfile puts the built-in profile in front of everything, once, for an Envoxy service.
func (p *parser) applyProfile() error {
	if p.cfg.Program == "uwsgi" || p.cfg.Profile || p.first["conf"] == nil && p.first["mode"] == nil {
		return nil
	}
	p.cfg.Profile = true
	var front []*entry
	for _, pair := range builtInProfile {
		if pair.Name == "module" && p.namesApp() {
			continue
		}
		pair.Origin = Origin{Source: profileSource}
		e := &entry{Pair: pair}
		front = append(front, e)
		p.first[pair.Name] = e
	}
	p.pairs = slices.Concat(front, p.pairs)
	return nil
}

// applyLateProfile is for a conf that an inherited file gives: every other option has
// been carried out by then, so only what nothing else says may still be set.
func (p *parser) applyLateProfile() error {
	before := len(p.pairs)
	if err := p.applyProfile(); err != nil {
		return err
	}
	for _, e := range p.pairs[:len(p.pairs)-before] {
		e.done = true
		if p.lastOf(e.Name) != e {
			continue
		}
		if err := p.apply(p.lookup(e.Name), e); err != nil {
			return err
		}
	}
	return nil
}

const profileSource = "built-in profile"

// GivenPairs are Pairs without what the built-in profile says of options that somebody else has set.
func (c *Config) GivenPairs() (all []Pair) {
	given := map[string]bool{}
	for _, p := range c.Pairs {
		given[p.Name] = given[p.Name] || p.Origin.Source != profileSource
	}
	for _, p := range c.Pairs {
		if p.Origin.Source != profileSource || !given[p.Name] {
			all = append(all, p)
		}
	}
	return all
}

// namesApp tells whether any option says which application to serve.
func (p *parser) namesApp() bool {
	for _, name := range appOptions {
		for _, alias := range p.options.find(name).Names {
			if p.first[alias] != nil {
				return true
			}
		}
	}
	return false
}
