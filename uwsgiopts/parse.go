package uwsgiopts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
)

// ParseOptions are what Parse takes from the process around it.
type ParseOptions struct {
	Args0  string    // the program as it was called; decides Config.Program. Default: envoxyd
	Dir    string    // absolute directory that relative file names belong to. Default: the working directory
	Stdin  io.Reader // read by "--ini -" and fd://0. Default: nothing
	Stdout io.Writer // what --help, --print, --get and so on write. Default: discarded
	Width  int       // columns of the terminal that Stdout is. Default: it is none, and nothing is wrapped
	Build  string    // appended to what --version prints
	Reload bool      // the configuration is read again: if-reload blocks apply
	// Inherits tells that sockets may come from whoever started the process: no option has to name one.
	Inherits bool
	// Emperor reads what emperor:// stands for. Default: there is none
	Emperor func() (string, error)
}

// Parse reads the command line (without the program's name), the UWSGI_* variables of
// environ and every file that they name, and returns what they say.
//
// Config.Action is set when the process is to do something else than serve. An error is
// an *ExitError; the Config that comes with it is incomplete, but its Notices and
// FallbackConfig count. With --check on the command line, errors are in Config.Problems.
func Parse(args, environ []string, opts ParseOptions) (*Config, error) {
	p, err := newParser(environ, opts)
	if err != nil {
		return p.cfg, err
	}
	err = p.parse(args)
	var end *endError
	if errors.As(err, &end) {
		p.cfg.Action = &end.Action
		return p.cfg, nil
	}
	return p.cfg, err
}

// entry is a recorded pair and what has become of it.
type entry struct {
	Pair
	done        bool // carried out: no pass and no second run
	placeholder bool // recorded by set-placeholder: never an option
	replaced    bool // the passes over placeholders have seen it
}

// parser is the state of one Parse.
type parser struct {
	options  *table
	flags    *pflag.FlagSet // of options and what declare-option makes
	declares bool           // flags is no view of options any more
	opts     ParseOptions
	env      *environment
	cfg      *Config
	pairs    []*entry

	magic     magic
	uses      map[string]magicUse // letters of file:line
	last      source              // the file that ":section" refers to
	before    []string
	after     []string
	block     *block
	inBlock   bool // a block's own pair is being recorded
	strict    bool
	tolerant  bool // --check: errors are collected
	forbid    *wordList
	permit    *wordList
	args      []string // the command line
	gets      []string
	missing   missing
	envdirs   []*entry
	fileRead  bool              // a configuration file was read
	noted     map[string]bool   // options whose notice has been given
	first     map[string]*entry // what a name was given first
	used      map[string]bool   // names that placeholders have read
	reading   []string          // sections that are being read, each by the one before
	texts     int               // sections read so far
	templates int               // declared options that are being carried out
	worked    int               // bytes that replacing placeholders has gone through
}

func newParser(environ []string, opts ParseOptions) (*parser, error) {
	if opts.Args0 == "" {
		opts.Args0 = "envoxyd"
	}
	if opts.Stdout == nil {
		opts.Stdout = io.Discard
	}
	p := &parser{
		options: allOptions(), flags: allOptions().view(), opts: opts, env: newEnvironment(environ),
		cfg: defaults(), noted: map[string]bool{}, used: map[string]bool{}, first: map[string]*entry{}, uses: map[string]magicUse{},
	}
	p.cfg.Program = filepath.Base(opts.Args0)
	if p.opts.Dir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return p, refuse(Origin{}, "cannot get the working directory: %w", err)
		}
		p.opts.Dir = dir
	}
	p.cfg.StartDir = p.opts.Dir
	p.magic = newMagic(p.opts.Dir, opts.Args0)
	return p, nil
}

// parse goes through uWSGI's stages: record everything, replace placeholders, then configure.
func (p *parser) parse(args []string) error {
	stages := []func() error{
		p.readEnvironment,
		func() error { return p.readCommandLine(args) },
		p.openBlockNotice,
		p.applyProfile,
		p.replacePlaceholders,
		p.configure,
		p.applyLateProfile,
		p.printAsked,
		p.finish,
	}
	if err := p.runCommand(args); err != nil {
		return err
	}
	p.args = args
	p.tolerant = p.asksCheck(args)
	p.cfg.Check = p.tolerant
	for _, stage := range stages {
		if err := p.tolerate(stage()); err != nil {
			return err
		}
	}
	return nil
}

// lookup finds an option, declared ones included; nil: there is not one of that name.
func (p *parser) lookup(name string) *Option {
	return find(p.flags, name)
}

// note adds a line that is logged once at the start.
func (p *parser) note(o Origin, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if where := o.place(); where != "" {
		line += " (" + where + ")"
	}
	p.cfg.Notices = append(p.cfg.Notices, line)
}

// record takes one pair into the list, or hands it to the block that is open.
func (p *parser) record(e *entry) error {
	if err := p.allowed(e); err != nil {
		return err
	}
	if !p.inBlock && p.block != nil {
		switch e.Name {
		case "end", "endif", "end-if", "endfor", "end-for":
			p.block = nil
		case "else":
		default:
			return p.recordInBlock(e)
		}
	}
	o := p.lookup(e.Name)
	if e.placeholder {
		o = nil
	}
	if o == nil && p.strict && !e.placeholder && !private(e.Name) {
		return refuse(e.Origin, "[strict-mode] unknown config directive: %s", e.Name)
	}
	p.pairs = append(p.pairs, e)
	if p.first[e.Name] == nil {
		p.first[e.Name] = e
	}
	if o == nil {
		return nil
	}
	p.implied(o)
	if o.Flags&Immediate == 0 {
		return nil
	}
	e.done = true
	return refuseBecause(e.Origin, p.apply(o, e))
}

// implied switches on what an option needs as soon as it is named.
func (p *parser) implied(o *Option) {
	if o.Flags&(StartsMaster|StartsLogMaster) != 0 {
		p.cfg.Master = true
	}
	if o.Flags&SetsProcname != 0 {
		p.cfg.AutoProcname = true
	}
}

// private tells names that envoxyd's own services read and that are no options.
func private(name string) bool { return name == "conf" }
