package uwsgiopts

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// normalise writes words so that pflag reads them as getopt_long does: abbreviated names in full, and values that are
// attached to a letter behind a long name. It stops before a word that getopt_long would refuse, and behind an option
// that is carried out at once, since that may declare others: rest is for another call.
func (p *parser) normalise(args []string) (words, rest []string, wrong error) {
	for len(args) > 0 {
		word := args[0]
		isOption := len(word) > 1 && word[0] == '-'
		if word == "--" || !isOption && p.strictOrder() {
			return append(words, args...), nil, nil
		}
		args = args[1:]
		n := normal{words: []string{word}}
		switch {
		case strings.HasPrefix(word, "--"):
			wrong = p.longOption(&n, word[2:])
		case isOption:
			wrong = p.letters(&n, word[1:])
		}
		words = append(words, n.words...)
		if wrong != nil {
			return words, nil, wrong
		}
		if n.takesNext && len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
		if n.atOnce {
			return words, args, nil
		}
	}
	return words, nil, nil
}

// strictOrder tells that the first word that is no option ends the options.
func (p *parser) strictOrder() bool {
	_, is := p.env.values["POSIXLY_CORRECT"]
	return is
}

// normal is a word of a command line as pflag is to read it.
type normal struct {
	words     []string
	takesNext bool // its value is the next word
	atOnce    bool // one of its options is carried out at once
}

// longOption handles --name and --name=value.
func (p *parser) longOption(n *normal, word string) error {
	name, value, attached := strings.Cut(word, "=")
	f, err := p.complete(name)
	if err != nil {
		n.words = nil
		return err
	}
	n.words = []string{"--" + f.Name}
	if attached {
		n.words[0] += "=" + value
	}
	n.takesNext, n.atOnce = optionOf(f).Arg == RequiredArg && !attached, optionOf(f).Flags&Immediate != 0
	return nil
}

// letters handles -Mp 2, which it leaves to pflag, and -Mp2, -C664 and -p=3, whose values pflag would take for letters
// or cut.
func (p *parser) letters(n *normal, word string) error {
	for i := range len(word) {
		f := p.flags.ShorthandLookup(word[i : i+1])
		if f == nil {
			n.words = cluster(word[:i])
			return p.usage("invalid option -- '%c'", word[i])
		}
		o, attached := optionOf(f), word[i+1:]
		n.atOnce = n.atOnce || o.Flags&Immediate != 0
		if o.Arg == NoArg || attached == "" {
			n.takesNext = o.Arg == RequiredArg
			continue
		}
		// -p=3 is a slip that uWSGI reads as 0.
		if k := o.Kind(); k == Int || k == Bytes || k == Wide {
			attached = strings.TrimPrefix(attached, "=")
		}
		n.words = append(cluster(word[:i]), "--"+f.Name+"="+attached)
		return nil
	}
	return nil
}

func cluster(letters string) []string {
	if letters == "" {
		return nil
	}
	return []string{"-" + letters}
}

// complete finds the flag of a name or of an unambiguous beginning of one.
func (p *parser) complete(name string) (*pflag.Flag, error) {
	if f := p.flags.Lookup(name); f != nil {
		return f, nil
	}
	var found []*pflag.Flag
	p.flags.VisitAll(func(f *pflag.Flag) {
		// What is refused anyway must not make the beginning of a working name ambiguous.
		if strings.HasPrefix(f.Name, name) && !f.Hidden && optionOf(f).Flags&Own == 0 {
			found = append(found, f)
		}
	})
	switch {
	case len(found) == 0:
		return nil, p.usage("unrecognized option '--%s'%s", name, p.nearestHint(name))
	case len(found) > 1 && !sameOption(found):
		names := make([]string, len(found))
		for i, f := range found {
			names[i] = "'--" + f.Name + "'"
		}
		slices.Sort(names)
		return nil, p.usage("option '--%s' is ambiguous; possibilities: %s", name, strings.Join(names, " "))
	}
	return found[0], nil
}

// sameOption: names of one letter do not make an abbreviation ambiguous.
func sameOption(found []*pflag.Flag) bool {
	first := optionOf(found[0])
	return first.Short != 0 && !slices.ContainsFunc(found, func(f *pflag.Flag) bool { return optionOf(f) != first })
}
