package uwsgiopts

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

func runStrict(p *parser, e *entry) error {
	p.strict = given{text: e.Value, flag: e.Flag}.on()
	return nil
}

// loads makes the runner of an option that names a configuration file.
func loads(format string) runner {
	return func(p *parser, e *entry) error { return p.loadNamed(format, e.Value, e.Origin) }
}

// runJSON records the file's name without the section, as uWSGI does for this format alone.
func runJSON(p *parser, e *entry) error {
	ref := e.Value
	e.Value, _ = p.splitSection(ref)
	return p.loadNamed("json", ref, e.Origin)
}

func runInclude(p *parser, e *entry) error { return p.loadBySuffix(e.Value, e.Origin) }

func runConfig(_ *parser, e *entry) error {
	return refuse(e.Origin, "unable to load configuration from %s", e.Value)
}

func runInjectBefore(p *parser, e *entry) error { return p.inject(&p.before, e) }

func runInjectAfter(p *parser, e *entry) error { return p.inject(&p.after, e) }

func runFallbackConfig(p *parser, e *entry) error {
	p.cfg.FallbackConfig = e.Value
	return nil
}

// runSet records KEY=VALUE as if it were a line of configuration.
func runSet(p *parser, e *entry) error {
	key, value, ok := strings.Cut(e.Value, "=")
	if !ok {
		return refuse(e.Origin, "--%s needs KEY=VALUE, not %q", e.Name, e.Value)
	}
	return p.record(&entry{Pair: Pair{Name: key, Value: value, Origin: e.Origin}})
}

// runSetPlaceholder records KEY=VALUE for %(KEY) alone.
func runSetPlaceholder(p *parser, e *entry) error {
	key, value, ok := strings.Cut(e.Value, "=")
	switch {
	case !ok:
		return refuse(e.Origin, "--%s needs KEY=VALUE, not %q", e.Name, e.Value)
	case p.lookup(key) != nil:
		return refuse(e.Origin, "the placeholder %q has the name of an option: use --set, or rename it", key)
	}
	return p.record(&entry{Pair: Pair{Name: key, Value: value, Origin: e.Origin}, placeholder: true})
}

// runResolve records PLACEHOLDER=address of a host.
func runResolve(p *parser, e *entry) error {
	key, host, ok := strings.Cut(e.Value, "=")
	if !ok {
		return refuse(e.Origin, "--resolve needs PLACEHOLDER=HOST, not %q", e.Value)
	}
	addresses, err := net.LookupIP(host)
	if err != nil {
		return refuse(e.Origin, "cannot resolve %q: %w", host, err)
	}
	for _, a := range addresses {
		if v4 := a.To4(); v4 != nil {
			return p.record(&entry{Pair: Pair{Name: key, Value: v4.String(), Origin: e.Origin}, placeholder: true})
		}
	}
	return refuse(e.Origin, "cannot resolve %q: it has no IPv4 address", host)
}

var templateArgument = compiled(`\$[1-3]`)

// runDeclareOption makes an option of NAME=OPTION=TEMPLATE;OPTION=TEMPLATE.
func runDeclareOption(p *parser, e *entry) error {
	name, template, ok := strings.Cut(e.Value, "=")
	if !ok {
		return refuse(e.Origin, "--%s needs NAME=TEMPLATE, not %q", e.Name, e.Value)
	}
	o := &Option{Names: []string{name}, Flags: Immediate, Doc: "stands for " + template, run: func(p *parser, e *entry) error { return p.fillTemplate(template, e) }}
	if templateArgument().MatchString(template) {
		o.Arg = RequiredArg
	}
	p.declare(o)
	return nil
}

const maxTemplates = 32 // declared options that use declared options

// fillTemplate carries out the options of a template; $1, $2 … are the words of the value.
func (p *parser) fillTemplate(template string, e *entry) error {
	if p.templates >= maxTemplates {
		return refuse(e.Origin, "option %q is declared in terms of itself", e.Name)
	}
	p.templates++
	defer func() { p.templates-- }()
	var replace []string
	for i, word := range slices.Backward(strings.Fields(e.Value)) {
		replace = append(replace, "$"+strconv.Itoa(i+1), word)
	}
	words := strings.NewReplacer(replace...)
	for part := range strings.SplitSeq(template, ";") {
		if part == "" {
			continue
		}
		name, value, hasValue := strings.Cut(part, "=")
		o := p.lookup(name)
		if o == nil {
			return refuse(e.Origin, "option %q stands for the unknown option %q", e.Name, name)
		}
		p.implied(o)
		one := &entry{Pair: Pair{Name: name, Value: words.Replace(value), Flag: !hasValue, Origin: e.Origin}, done: true}
		if err := refuseBecause(e.Origin, p.apply(o, one)); err != nil {
			return err
		}
	}
	return nil
}

func runPrint(p *parser, e *entry) error {
	fmt.Fprintln(p.opts.Stdout, e.Value)
	return nil
}

func runGet(p *parser, e *entry) error {
	p.gets = append(p.gets, e.Value)
	return nil
}

// runExit leaves at once; in a file no value means status 0, on the command line 1.
func runExit(_ *parser, e *entry) error {
	if e.Flag {
		return leave(1)
	}
	n, _, err := leadingInt(e.Value)
	if err != nil {
		return refuse(e.Origin, "option %q: %q is not an exit status", e.Name, e.Value)
	}
	return leave(int(n & 0xff))
}

func runExtract(p *parser, e *entry) error {
	text, err := p.read(e.Value)
	if err != nil {
		return err
	}
	fmt.Fprint(p.opts.Stdout, text)
	return leave(0)
}

// signals makes the start end by signalling the process of a pidfile.
func signals(p *parser, e *entry) error {
	return &endError{Action{Kind: ActionSignal, Option: e.Name, Pidfile: e.Value}}
}

func runIenv(p *parser, e *entry) error {
	p.env.put(e.Value)
	return nil
}

func runEarlyEnvdir(p *parser, e *entry) error {
	changes, err := p.envdir(e.Value)
	for _, kv := range changes {
		p.env.put(kv)
	}
	return err
}

func runEnvdir(p *parser, e *entry) error {
	p.envdirs = append(p.envdirs, e)
	return nil
}

// envdir reads a directory of one file per variable: KEY=VALUE, or KEY where the file is empty.
func (p *parser) envdir(name string) ([]string, error) {
	entries, err := os.ReadDir(p.path(name))
	if err != nil {
		return nil, fmt.Errorf("cannot read the directory %s: %w", name, inCWords(err))
	}
	var changes []string
	for _, file := range entries {
		if strings.HasPrefix(file.Name(), ".") || file.IsDir() {
			continue
		}
		text, err := p.readFile(strings.TrimSuffix(name, "/") + "/" + file.Name())
		if err != nil {
			return nil, err
		}
		if text == "" {
			changes = append(changes, file.Name())
			continue
		}
		text = strings.TrimRight(text, " \t\r\n")
		changes = append(changes, file.Name()+"="+strings.ReplaceAll(text, "\x00", "\n"))
	}
	return changes, nil
}
