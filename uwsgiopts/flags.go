package uwsgiopts

import (
	"errors"
	"sync"

	"github.com/spf13/pflag"
)

// bare is the value that pflag reports for a flag that was given without one. No argument of a process can be that.
const bare = "\x00"

// optionValue is the option that a flag stands for. It is recorded with its value, in the order of the command line; what
// becomes of it is decided when all is read.
type optionValue Option

// String returns the default, which is the Config's business.
func (v *optionValue) String() string { return "" }

// Type returns the word that documentation uses for the value.
func (v *optionValue) Type() string { return (*Option)(v).Kind().String() }

// Set refuses: a value alone has no parser to be recorded by.
func (v *optionValue) Set(string) error { return errors.New("an option is recorded, not set") }

// optionOf returns the option that a flag stands for.
func optionOf(f *pflag.Flag) *Option { return (*Option)(f.Value.(*optionValue)) }

// table is the option table as flags of a command line: each name is one, in the table's order.
type table struct{ flags *pflag.FlagSet }

// allOptions is the table of all sections, made once.
var allOptions = sync.OnceValue(func() *table { return newTable(Sections()) })

// newTable panics on a name that is declared twice: that is a mistake in the table.
func newTable(sections []Section) *table {
	t := &table{newFlags()}
	count := 0
	for s := range sections {
		for i := range sections[s].Options {
			count += len(sections[s].Options[i].Names)
		}
	}
	room := make([]pflag.Flag, count) // at once: this is a part of every start
	for s := range sections {
		for i := range sections[s].Options {
			o := &sections[s].Options[i]
			for _, name := range o.Names {
				describe(&room[0], name, o)
				if o.Short != 0 && name == o.Name() && t.flags.ShorthandLookup(string(o.Short)) == nil {
					room[0].Shorthand = string(o.Short) // a letter belongs to the first name that has it
				}
				t.flags.AddFlag(&room[0])
				room = room[1:]
			}
		}
	}
	return t
}

func newFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("envoxyd", pflag.ContinueOnError)
	flags.SortFlags = false
	return flags
}

// describe makes a flag that of one name of an option; its letter stays.
func describe(f *pflag.Flag, name string, o *Option) {
	f.Name, f.Usage, f.Value, f.Deprecated, f.Hidden = name, o.Doc, (*optionValue)(o), o.NoOp, o.Unsupported != ""
	f.NoOptDefVal = ""
	if o.Arg != RequiredArg {
		f.NoOptDefVal = bare
	}
}

// find returns the option of a name; nil: there is none.
func find(flags *pflag.FlagSet, name string) *Option {
	if f := flags.Lookup(name); f != nil {
		return optionOf(f)
	}
	return nil
}

func (t *table) find(name string) *Option { return find(t.flags, name) }

// listed is one name of one option.
type listed struct {
	name   string
	option *Option
}

// names returns all names in the table's order.
func (t *table) names() (all []listed) {
	t.flags.VisitAll(func(f *pflag.Flag) { all = append(all, listed{f.Name, optionOf(f)}) })
	return all
}

// view returns a set of the same flags for one command line, as registering them again for each would take longer than
// all the rest of a Parse. While it parses, pflag writes into the set alone, here the copy, and only reads the flags.
func (t *table) view() *pflag.FlagSet {
	flags := *t.flags
	return &flags
}

// declare adds an option for the rest of this Parse, or puts it in the place of another.
func (p *parser) declare(o *Option) {
	if !p.declares {
		own := newFlags()
		p.flags.VisitAll(func(f *pflag.Flag) {
			copied := *f
			own.AddFlag(&copied)
		})
		p.flags, p.declares = own, true
	}
	if f := p.flags.Lookup(o.Name()); f != nil {
		describe(f, o.Name(), o)
		return
	}
	f := new(pflag.Flag)
	describe(f, o.Name(), o)
	p.flags.AddFlag(f)
}
