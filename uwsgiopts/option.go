package uwsgiopts

// Option declares one setting under all of its names. The parser, --help,
// --dump-options, docs/options.md and shell completion all derive from it.
type Option struct {
	Names       []string // the first one is the name that is documented
	Short       byte     // letter on the command line, which is recorded as Names[0]; 0: none
	Arg         ArgKind
	Value       Value // nil: Text, or Flag where it takes none
	Flags       Flags
	Default     string // the value that counts where none is given; "": Value knows, or there is none
	Doc         string // one line
	NoOp        string // why it needs no effect here; "": it has one
	Unsupported string // why the start is refused and what to do instead; "": it is not refused

	run runner // acts on the parser (configuration language, printing, leaving)
}

// Value declares what an option's value is: a Kind if it has no effect, else an effect, which has its own kind.
type Value interface{ kind() Kind }

// effect is a value that fills the Config, and how its text is read for that.
type effect struct {
	Kind
	set   setter
	shown func(c *Config) string // the value as it would be written; nil: it is not one
}

// setter puts one given value into the Config.
type setter func(c *Config, g given) error

// by makes a value of this kind that the setter puts into the Config.
func (k Kind) by(set setter) effect { return effect{Kind: k, set: set} }

// showing makes an effect that tells what the Config has.
func (e effect) showing(value func(c *Config) string) effect {
	e.shown = value
	return e
}

func (k Kind) kind() Kind { return k }

// Kind tells how the text of the option's value is read.
func (o *Option) Kind() Kind {
	switch {
	case o.Value != nil:
		return o.Value.kind()
	case o.Arg == NoArg:
		return Flag
	}
	return Text
}

// setter returns what fills the Config; nil: nothing does.
func (o *Option) setter() setter {
	e, _ := o.Value.(effect)
	return e.set
}

// DefaultText returns the value that counts where the option is not given, as it would be written; "": there is none, or nothing to tell.
func (o *Option) DefaultText() string {
	if o.Default != "" {
		return o.Default
	}
	if e, _ := o.Value.(effect); e.shown != nil {
		return e.shown(defaults())
	}
	return ""
}

// runner carries out an option that is part of the configuration language.
type runner func(p *parser, e *entry) error

// ArgKind says whether an option takes a value on the command line, in getopt's terms.
type ArgKind uint8

// Argument kinds. In files, in the environment and through --set every option takes a value.
const (
	NoArg       ArgKind = iota
	OptionalArg         // a value only when attached: --name=value, -Xvalue
	RequiredArg         // also the next word
)

// String returns getopt's name of the kind: no, optional or required.
func (k ArgKind) String() string {
	return [...]string{"no", "optional", "required"}[k]
}

// Kind says how the text of a value is read.
type Kind uint8

// Value kinds.
const (
	Text           Kind = iota // as it stands; the last one given counts
	List                       // as it stands; all that are given count, in order
	Flag                       // on, unless false, off, no or 0
	InverseFlag                // the contrary of Flag
	Int                        // leading digits, 0 to 2147483647
	SignedInt                  // as Int, may be negative
	Int16                      // as Int, capped at 65535
	Wide                       // leading digits, 64 bits
	Bytes                      // as Wide; a unit of k, m or g is understood
	Megabytes                  // leading digits, decimals allowed
	Octal                      // file mode
	Mapping                    // KEY=VALUE, may be repeated
	PatternMapping             // PATTERN VALUE, may be repeated
	LoggerText                 // [NAME ]LOGGER:ARGUMENTS, may be repeated
)

// String returns the word that documentation uses for the kind.
func (k Kind) String() string {
	return [...]string{"text", "list", "flag", "inverse flag", "number", "signed number", "number up to 65535", "64-bit number",
		"bytes", "megabytes", "octal mode", "KEY=VALUE", "PATTERN VALUE", "LOGGER:ARGUMENTS"}[k]
}

// Flags say what else an option does as soon as it is recorded, whatever its value.
type Flags uint8

// Option flags.
const (
	Immediate Flags = 1 << iota // runs when it is read: placeholders are not replaced in its value
	StartsMaster
	StartsLogMaster
	SetsProcname
	Own         // envoxyd's own option, not uWSGI's; never a completion of an abbreviation
	Dispensable // refused, but the service does its work without it: --allow-missing lets a start leave it out
)

// Status tells what becomes of an option.
type Status uint8

// Statuses of options.
const (
	Implemented Status = iota // has its effect
	NoOp                      // accepted, not needed here
	Unsupported               // refused
)

// String returns the word that documentation uses for the status.
func (s Status) String() string {
	return [...]string{"implemented", "no-op", "unsupported"}[s]
}

// Status returns what becomes of the option.
func (o *Option) Status() Status {
	switch {
	case o.Unsupported != "":
		return Unsupported
	case o.NoOp != "":
		return NoOp
	}
	return Implemented
}

// Name returns the documented name.
func (o *Option) Name() string { return o.Names[0] }

// Section is a part of the option table with a heading.
type Section struct {
	Title   string
	Options []Option
}
