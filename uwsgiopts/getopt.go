package uwsgiopts

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

var commandLine = Origin{Source: "command line"}

// readCommandLine walks the words as getopt_long does, options first: files that are
// named without an option are read after all options.
func (p *parser) readCommandLine(args []string) error {
	var words []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case word == "--":
			words = append(words, args...)
			args = nil
		case strings.HasPrefix(word, "--"):
			args, err = p.longOption(word[2:], args)
		case len(word) > 1 && word[0] == '-':
			args, err = p.shortOptions(word[1:], args)
		default:
			words = append(words, word)
			if _, strictOrder := p.env.values["POSIXLY_CORRECT"]; strictOrder {
				words = append(words, args...)
				args = nil
			}
		}
		if err != nil {
			return err
		}
	}
	for _, word := range words {
		if strings.HasPrefix(word, "[") {
			continue
		}
		if err := p.tolerate(p.loadBySuffix(word, commandLine)); err != nil {
			return err
		}
	}
	return nil
}

// longOption handles --name, --name=value and --name value; rest are the words after it.
func (p *parser) longOption(word string, rest []string) ([]string, error) {
	name, value, attached := strings.Cut(word, "=")
	name, o, err := p.complete(name)
	if err != nil {
		return nil, err
	}
	e := &entry{Pair: Pair{Name: name, Value: value, Flag: !attached, Origin: commandLine}}
	switch {
	case attached && o.Arg == NoArg:
		return nil, p.usage("option '--%s' doesn't allow an argument", name)
	case !attached && o.Arg == RequiredArg:
		if len(rest) == 0 {
			return nil, p.usage("option '--%s' requires an argument", name)
		}
		e.Value, e.Flag, rest = rest[0], false, rest[1:]
	}
	return rest, p.tolerate(p.record(e))
}

// shortOptions handles -Mp2, -p2 and -p 2.
func (p *parser) shortOptions(letters string, rest []string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		o := p.options.byShort[letters[i]]
		if o == nil {
			return nil, p.usage("invalid option -- '%c'", letters[i])
		}
		e := &entry{Pair: Pair{Name: o.Name(), Flag: true, Origin: commandLine}}
		attached := letters[i+1:]
		switch {
		case o.Arg == NoArg:
			attached = ""
		case attached != "":
			// -p=3 is a slip that uWSGI reads as 0.
			if k := o.Kind(); k == Int || k == Bytes || k == Wide {
				attached = strings.TrimPrefix(attached, "=")
			}
			e.Value, e.Flag, i = attached, false, len(letters)
		case o.Arg == RequiredArg:
			if len(rest) == 0 {
				return nil, p.usage("option requires an argument -- '%c'", letters[i])
			}
			e.Value, e.Flag, rest = rest[0], false, rest[1:]
		}
		if err := p.tolerate(p.record(e)); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// complete finds the option of a name or of an unambiguous beginning of one.
func (p *parser) complete(name string) (string, *Option, error) {
	if o := p.lookup(name); o != nil {
		return name, o, nil
	}
	var found []listed
	consider := func(l listed) {
		// What is refused anyway must not make the beginning of a working name ambiguous.
		if strings.HasPrefix(l.name, name) && l.option.Flags&Own == 0 && l.option.Unsupported == "" {
			found = append(found, l)
		}
	}
	for _, l := range p.options.ordered {
		consider(l)
	}
	for custom, o := range p.custom {
		consider(listed{custom, o})
	}
	switch {
	case len(found) == 0:
		return "", nil, p.usage("unrecognized option '--%s'%s", name, p.nearestHint(name))
	case len(found) > 1 && !sameOption(found):
		names := make([]string, len(found))
		for i, l := range found {
			names[i] = "'--" + l.name + "'"
		}
		slices.Sort(names)
		return "", nil, p.usage("option '--%s' is ambiguous; possibilities: %s", name, strings.Join(names, " "))
	}
	return found[0].name, found[0].option, nil
}

// sameOption: names of one letter do not make an abbreviation ambiguous.
func sameOption(found []listed) bool {
	for _, l := range found[1:] {
		if l.option != found[0].option || l.option.Short == 0 {
			return false
		}
	}
	return true
}

// usage is a refusal of the command line itself.
func (p *parser) usage(format string, args ...any) error {
	return refuse(Origin{}, "%s: %s", filepath.Base(p.opts.Args0), fmt.Sprintf(format, args...))
}
