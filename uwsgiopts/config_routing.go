package uwsgiopts

import (
	"slices"
	"strings"

	"envoxyd/internal/routespec"
	"envoxyd/routing"
)

// RoutingConfig is the internal routing.
type RoutingConfig struct {
	// Routes are the rules of all options of the route family, in the order in which they were given. They can be compiled.
	Routes []routespec.Rule
	// RouteLines tell of them, for the log of a start.
	RouteLines []string
}

// routeRule adds a rule of an option.
func routeRule(rule routespec.Rule) effect {
	return List.by(func(c *Config, g given) error {
		rule := rule
		rule.Value, rule.Origin = g.text, g.origin.String()
		c.Routes = append(c.Routes, rule)
		return nil
	})
}

// setCheckCache has the cache looked at before all rules; the last one that is given counts.
func setCheckCache(c *Config, g given) error {
	name := g.text
	if g.flag {
		name = ""
	}
	c.Routes = slices.DeleteFunc(c.Routes, func(r routespec.Rule) bool { return r.Option == checkCache })
	c.Routes = slices.Insert(c.Routes, 0, routespec.Rule{Stage: routespec.Request, Option: checkCache, Value: name, Origin: g.origin.String()})
	return nil
}

const checkCache = "check-cache"

// validateCheckCache refuses a cache that does not exist: nothing would ever be found.
func (p *parser) validateCheckCache() error {
	for _, r := range p.cfg.Routes {
		if r.Option != checkCache {
			continue
		}
		if !p.cfg.hasCache(r.Value) {
			return p.refuseValue(checkCache, "there is no cache %q: make it with --cache2 name=NAME,items=N", r.Value)
		}
	}
	return nil
}

// finishRouting compiles the rules, so that a wrong one ends the start.
func (p *parser) finishRouting() error {
	if len(p.cfg.Routes) == 0 {
		return nil
	}
	program, wrong := routing.CompileAll(p.cfg.Routes)
	for _, err := range wrong {
		if err := p.tolerate(&ExitError{Status: 1, Err: err}); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		return nil
	}
	for _, note := range program.Notes() {
		p.cfg.Notices = append(p.cfg.Notices, note.String())
	}
	p.cfg.RouteLines = program.Describe()
	return nil
}

func listActions(c *Config, g given) error {
	if g.on() {
		c.Notices = append(c.Notices, "*** uWSGI loaded routers ***\n"+strings.Join(routing.Actions(), "\n")+"\n--- end of routers list ---")
	}
	return nil
}

func listConditions(c *Config, g given) error {
	if g.on() {
		c.Notices = append(c.Notices, "*** uWSGI loaded route conditions ***\n"+strings.Join(routing.Conditions(), "\n")+"\n--- end of route conditions list ---")
	}
	return nil
}
