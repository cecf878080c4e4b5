package uwsgiopts

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

const helpColumn = 48

func runHelp(p *parser, _ *entry) error {
	p.writeHelp(p.opts.Stdout)
	return leave(0)
}

// writeHelp lists every name with its letter, its documentation and, if it has no effect, why.
func (p *parser) writeHelp(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [options...]\n", p.opts.Args0)
	p.options.flags.VisitAll(func(f *pflag.Flag) {
		o, name := optionOf(f), "--"+f.Name
		if o.Short != 0 {
			name = fmt.Sprintf("-%c|%s", o.Short, name)
		}
		fmt.Fprintf(w, "    %-*s %s%s\n", helpColumn-4, name, f.Usage, o.remark())
	})
}

// remark tells why an option has no effect.
func (o *Option) remark() string {
	switch o.Status() {
	case NoOp:
		return " [not needed: " + o.NoOp + "]"
	case Unsupported:
		return " [unsupported: " + o.Unsupported + "]"
	}
	return ""
}

func runVersion(p *parser, _ *entry) error {
	version := Version
	if p.opts.Build != "" {
		version += "+" + p.opts.Build
	}
	fmt.Fprintln(p.opts.Stdout, version)
	return leave(0)
}

func runDumpOptions(p *parser, _ *entry) error {
	p.options.flags.VisitAll(func(f *pflag.Flag) { fmt.Fprintln(p.opts.Stdout, f.Name) })
	return leave(0)
}

// WriteShowConfig writes all settings as an ini file, in the order they were given.
func (c *Config) WriteShowConfig(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\n;uWSGI instance configuration\n[uwsgi]\n")
	for _, pair := range c.Pairs {
		value := pair.Value
		if pair.Flag {
			value = "true"
		}
		fmt.Fprintf(&b, "%s = %s\n", pair.Name, value)
	}
	b.WriteString(";end of configuration\n\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}
