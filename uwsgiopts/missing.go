package uwsgiopts

import (
	"fmt"
	"slices"
	"strings"
)

// missing is what --allow-missing says: which options that are refused a start may leave out.
type missing struct {
	all   bool
	names []string
}

// runAllowMissing takes the names of options, or none for all that are dispensable.
func runAllowMissing(p *parser, e *entry) error {
	if e.Flag || e.Value == "" || e.Value == "true" || e.Value == "1" {
		p.missing.all = true
		return nil
	}
	for name := range strings.SplitSeq(e.Value, ",") {
		name = strings.TrimSpace(name)
		o := p.lookup(name)
		switch {
		case o == nil:
			return refuse(e.Origin, "option %q: there is no option %q", e.Name, name)
		case o.Status() != Unsupported:
			return refuse(e.Origin, "option %q: %q is supported: there is nothing to allow", e.Name, name)
		case o.Flags&Dispensable == 0:
			return refuse(e.Origin, "option %q: the service is not the same without %q: %s", e.Name, name, o.Unsupported)
		}
		p.missing.names = append(p.missing.names, o.Names...)
	}
	return nil
}

// refuseOption refuses an option that is not supported, or leaves it out if --allow-missing lets it.
func (p *parser) refuseOption(o *Option, e *entry) error {
	dispensable := o.Flags&Dispensable != 0
	if dispensable && (p.missing.all || slices.Contains(p.missing.names, e.Name)) {
		text := fmt.Sprintf("option %q is not supported and left out (allow-missing): %s", e.Name, o.Unsupported)
		if where := e.Origin.String(); where != "" {
			text = where + ": " + text
		}
		p.cfg.LeftOut = append(p.cfg.LeftOut, text)
		return nil
	}
	hint := ""
	if dispensable {
		hint = "; --allow-missing=" + o.Name() + " starts without it"
	}
	return fmt.Errorf("option %q is not supported: %s%s", e.Name, o.Unsupported, hint)
}
