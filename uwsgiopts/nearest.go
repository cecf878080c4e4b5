package uwsgiopts

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"envoxyd/internal/spelling"
)

// unknownNames reports names that no option has and no placeholder reads: they are kept,
// as in uWSGI, but most are misspelt.
func (p *parser) unknownNames() {
	const maxHints = 10 // looking for a near name is slow, and whoever has more is not misspelling
	hints := 0
	hint := func(find func(string) string, name string) string {
		if hints++; hints > maxHints {
			return ""
		}
		return find(name)
	}
	for _, e := range p.pairs {
		if e.placeholder || p.used[e.Name] || p.noted[e.Name] || private(e.Name) || e.Name == "end" || p.lookup(e.Name) != nil {
			continue
		}
		switch {
		case e.Origin.Line > 0:
			p.noted[e.Name] = true
			p.note(e.Origin, "unknown option %q is ignored%s", e.Name, hint(p.nearestHint, e.Name))
		case e.Origin.Source == fromEnvironment:
			p.noteVariable(e.Name, func(name string) string { return hint(p.nearestToVariable, name) })
		}
	}
}

// noteVariable reports a UWSGI_ variable that is hardly anything else than a misspelt option. Many mean
// something to others: Kubernetes makes UWSGI_PORT, scripts read their own.
func (p *parser) noteVariable(name string, nearest func(string) string) {
	variable := variableOf(name)
	if p.env.read[variable] {
		return
	}
	if best := nearest(name); best != "" {
		p.noted[name] = true
		p.note(Origin{}, "the environment variable %s is not an option and is ignored; did you mean %s?", variable, variableOf(best))
	}
}

func variableOf(option string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// nearestToVariable finds an option that is one slip away, or two for longer names.
func (p *parser) nearestToVariable(name string) string {
	const shortest, longer = 6, 7
	switch {
	case len(name) < shortest:
		return ""
	case len(name) < longer:
		return p.nearest(name, 2)
	}
	return p.nearest(name, 3)
}

// nearestHint proposes a known name that is close to an unknown one.
func (p *parser) nearestHint(name string) string {
	const shortest = 4 // shorter names are near to everything
	if len(name) < shortest {
		return ""
	}
	if best := p.nearest(name, 1+len(name)/3); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest returns the name that is nearest to another and nearer than limit; "": there is none.
func (p *parser) nearest(name string, limit int) (best string) {
	name = strings.ReplaceAll(name, "_", "-")
	p.options.flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if d := spelling.Distance(name, f.Name, limit); d < limit {
			best, limit = f.Name, d
		}
	})
	return best
}
