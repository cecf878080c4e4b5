package uwsgiopts

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

var commandLine = Origin{Source: "command line"}

// readCommandLine has pflag read the words, as getopt_long would: options first. Files that are named without an
// option are read after all options.
func (p *parser) readCommandLine(args []string) error {
	var files []string
	for len(args) > 0 {
		words, rest, wrong := p.normalise(args)
		flags := p.flags // an option may declare others
		flags.SetInterspersed(!p.strictOrder())
		if err := flags.ParseAll(words, p.recordFlag); err != nil {
			return p.inGetoptsWords(err)
		}
		if wrong != nil {
			return wrong
		}
		files, args = append(files, flags.Args()...), rest
	}
	for _, name := range files {
		if strings.HasPrefix(name, "[") {
			continue
		}
		if err := p.tolerate(p.loadBySuffix(name, commandLine)); err != nil {
			return err
		}
	}
	return nil
}

// recordFlag takes a flag that pflag has found on the command line.
func (p *parser) recordFlag(f *pflag.Flag, value string) error {
	e := &entry{Pair: Pair{Name: f.Name, Value: value, Origin: commandLine}}
	switch {
	case f.NoOptDefVal == bare && value == bare:
		e.Value, e.Flag = "", true
	case optionOf(f).Arg == NoArg:
		return p.usage("option '--%s' doesn't allow an argument", f.Name)
	}
	return p.tolerate(p.record(e))
}

// inGetoptsWords says pflag's errors as getopt does, which people search for; others stay as they are.
func (p *parser) inGetoptsWords(err error) error {
	var missing *pflag.ValueRequiredError
	var malformed *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &missing) && missing.GetSpecifiedShortnames() != "":
		return p.usage("option requires an argument -- '%s'", missing.GetSpecifiedName())
	case errors.As(err, &missing):
		return p.usage("option '--%s' requires an argument", missing.GetSpecifiedName())
	case errors.As(err, &malformed):
		return p.usage("unrecognized option '%s'", malformed.GetSpecifiedFlag())
	}
	return err
}

// usage is a refusal of the command line itself.
func (p *parser) usage(format string, args ...any) error {
	return refuse(Origin{}, "%s: %s", filepath.Base(p.opts.Args0), fmt.Sprintf(format, args...))
}
