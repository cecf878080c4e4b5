package uwsgiopts

import (
	"errors"
	"slices"
	"strings"
)

// asksCheck tells whether --check is on the command line. It has to be known before
// anything is read: from then on an error does not end the reading.
func (p *parser) asksCheck(args []string) bool {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--check":
			return true
		case word == "--":
			return false
		case p.takesNext(word) && len(args) > 0:
			args = args[1:]
		}
	}
	return false
}

// takesNext tells whether the word is an option whose value is the next word.
func (p *parser) takesNext(word string) bool {
	if name, long := strings.CutPrefix(word, "--"); long {
		o := p.lookup(name)
		return o != nil && o.Arg == RequiredArg
	}
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	for i := 1; i < len(word); i++ {
		if f := p.flags.ShorthandLookup(word[i : i+1]); f == nil || optionOf(f).Arg != NoArg {
			return f != nil && optionOf(f).Arg == RequiredArg && i == len(word)-1
		}
	}
	return false
}

// tolerate keeps an error for the report of --check, and passes it on otherwise. What
// ends the start on purpose is no error.
func (p *parser) tolerate(err error) error {
	var end *endError
	if err == nil || !p.tolerant || errors.As(err, &end) {
		return err
	}
	p.cfg.Problems = append(p.cfg.Problems, err)
	return nil
}

// OriginOf returns the place of the last pair that gave an option under any of its
// names; with a value, of the last that gave it this value. It is zero when there is none.
func (c *Config) OriginOf(option, value string) Origin {
	names := []string{option}
	if o := allOptions().find(option); o != nil {
		names = o.Names
	}
	for _, pair := range slices.Backward(c.Pairs) {
		if slices.Contains(names, pair.Name) && (value == "" || pair.Value == value) {
			return pair.Origin
		}
	}
	return Origin{}
}
