package uwsgiopts

import (
	"fmt"
	"slices"
)

// configure carries out every pair that is not done, in order. Pairs that are recorded
// meanwhile (by inherit) come after all others.
func (p *parser) configure() error {
	for i := 0; i < len(p.pairs); i++ {
		e := p.pairs[i]
		if e.done || e.placeholder {
			continue
		}
		e.done = true
		o := p.lookup(e.Name)
		if o == nil {
			if p.strict && !private(e.Name) {
				if err := p.tolerate(refuse(e.Origin, "[strict-mode] unknown config directive: %s", e.Name)); err != nil {
					return err
				}
			}
			continue
		}
		if err := p.tolerate(refuseBecause(e.Origin, p.apply(o, e))); err != nil {
			return err
		}
	}
	return nil
}

// apply carries out one option with one value.
func (p *parser) apply(o *Option, e *entry) error {
	g := given{name: e.Name, text: e.Value, flag: e.Flag, origin: e.Origin, notice: func(format string, args ...any) { p.note(e.Origin, format, args...) }}
	if o.run != nil {
		return o.run(p, e)
	}
	if o.Status() == Unsupported {
		return p.refuseOption(o, e)
	}
	set := o.setter()
	if set == nil {
		return nil
	}
	sockets, hosts := len(p.cfg.Sockets), len(p.cfg.SNI)
	if err := set(p.cfg, g); err != nil {
		return err
	}
	for i := sockets; i < len(p.cfg.Sockets); i++ {
		p.cfg.Sockets[i].Origin = e.Origin
	}
	for i := hosts; i < len(p.cfg.SNI); i++ {
		p.cfg.SNI[i].Origin = e.Origin
	}
	return nil
}

// printAsked answers --get, which ends the start.
func (p *parser) printAsked() error {
	if len(p.gets) == 0 {
		return nil
	}
	for _, name := range p.gets {
		if i := slices.IndexFunc(p.pairs, func(e *entry) bool { return e.Name == name }); i >= 0 && !p.pairs[i].Flag {
			fmt.Fprintln(p.opts.Stdout, p.pairs[i].Value)
		}
	}
	return leave(0)
}
