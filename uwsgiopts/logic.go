package uwsgiopts

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// block is an open if or for. Blocks do not nest, and they span files.
type block struct {
	opener *entry
	loop   bool
	items  []string       // of a loop
	test   func() verdict // of a condition; asked again for every pair
	failed bool           // the last test did
}

// verdict is what a condition finds.
type verdict struct {
	holds bool
	under *string // what %(_) stands for; nil: it stays
}

// open starts a block.
func (p *parser) open(e *entry, b *block) error {
	if p.block != nil {
		return refuse(e.Origin, "recursive logic in options is not supported (option = %s)", e.Name)
	}
	b.opener = e
	p.block = b
	return nil
}

// recordInBlock records a pair once per item of a loop, or if the condition holds.
func (p *parser) recordInBlock(e *entry) error {
	b := p.block
	p.inBlock = true
	defer func() { p.inBlock = false }()
	if !b.loop {
		v := b.test()
		if b.opener.Name != "else" {
			b.failed = !v.holds
		}
		if !v.holds {
			return nil
		}
		return p.record(e.under(v.under))
	}
	for _, item := range b.items {
		if err := p.record(e.under(&item)); err != nil {
			return err
		}
	}
	return nil
}

// under returns a copy with %(_) replaced.
func (e *entry) under(value *string) *entry {
	c := *e
	if value != nil && !e.Flag {
		c.Value = strings.ReplaceAll(e.Value, "%(_)", *value)
	}
	return &c
}

// runElse turns the block that is open: its pairs count if the last pair before did not.
// Several else share what the if has found.
func runElse(p *parser, e *entry) error {
	failed := p.block != nil && p.block.failed
	p.block = &block{opener: e, test: func() verdict { return verdict{holds: failed} }}
	p.block.failed = failed
	return nil
}

func runEnd(*parser, *entry) error { return nil }

// openBlockNotice: a block that is never closed has swallowed all that came after it.
func (p *parser) openBlockNotice() error {
	if p.block != nil {
		p.note(p.block.opener.Origin, "%q is not closed: everything after it belongs to the block", p.block.opener.Name)
		p.block = nil
	}
	return nil
}

// condition makes the runner of an if and of its contrary.
func condition(test func(p *parser, argument string) verdict, want bool) runner {
	return func(p *parser, e *entry) error {
		return p.open(e, &block{test: func() verdict {
			v := test(p, e.Value)
			v.holds = v.holds == want
			return v
		}})
	}
}

func testEnv(p *parser, argument string) verdict {
	name, want, compare := strings.Cut(argument, "=")
	v, ok := p.env.get(name)
	if !ok {
		return verdict{}
	}
	return verdict{!compare || v == want, &v}
}

func testOpt(p *parser, argument string) verdict {
	name, want, compare := strings.Cut(argument, "=")
	e := p.first[name]
	if e == nil || e.Flag {
		return verdict{}
	}
	return verdict{!compare || e.Value == want, &e.Value}
}

func testExists(p *parser, argument string) verdict {
	const readable = 4
	return verdict{argument != "" && syscall.Access(p.path(argument), readable) == nil, &argument}
}

func testFile(p *parser, argument string) verdict {
	info, err := os.Stat(p.path(argument))
	return verdict{argument != "" && err == nil && info.Mode().IsRegular(), &argument}
}

func testDir(p *parser, argument string) verdict {
	info, err := os.Stat(p.path(argument))
	return verdict{argument != "" && err == nil && info.IsDir(), &argument}
}

func testPlugin(p *parser, argument string) verdict {
	return verdict{builtIn(argument), &argument}
}

func testHostname(p *parser, argument string) verdict {
	return verdict{argument == p.magic.letters['h'], &argument}
}

func testHostnameMatch(p *parser, argument string) verdict {
	pattern, err := regexp.Compile(argument)
	return verdict{err == nil && pattern.MatchString(p.magic.letters['h']), &argument}
}

// ifReload makes the runner of if-reload and if-not-reload, which leave %(_) alone.
func ifReload(want bool) runner {
	return func(p *parser, e *entry) error {
		_, counted := p.env.values["UWSGI_RELOADS"]
		reload := p.opts.Reload || counted
		return p.open(e, &block{test: func() verdict { return verdict{holds: reload == want} }})
	}
}

func runFor(p *parser, e *entry) error {
	return p.open(e, &block{loop: true, items: strings.FieldsFunc(e.Value, func(r rune) bool { return r == ' ' })})
}

func runForTimes(p *parser, e *entry) error {
	const most = 100_000
	n, _, err := leadingInt(e.Value)
	if err != nil || n > most {
		return refuse(e.Origin, "option %q: more than %d rounds", e.Name, most)
	}
	var items []string
	for i := int64(1); i <= n; i++ {
		items = append(items, strconv.FormatInt(i, 10))
	}
	return p.open(e, &block{loop: true, items: items})
}

// runForGlob gives the pattern itself when nothing matches, and a slash to directories.
func runForGlob(p *parser, e *entry) error {
	names, err := filepath.Glob(p.path(e.Value))
	if err != nil || len(names) == 0 {
		return p.open(e, &block{loop: true, items: []string{e.Value}})
	}
	for i, name := range names {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name += "/"
		}
		if !filepath.IsAbs(e.Value) {
			name = strings.TrimPrefix(name, p.opts.Dir+"/")
		}
		names[i] = name
	}
	slices.Sort(names)
	return p.open(e, &block{loop: true, items: names})
}

// runForReadline makes a round of every line; a file that is missing makes none.
func runForReadline(p *parser, e *entry) error {
	b := &block{loop: true}
	text, err := p.readFile(e.Value)
	if err != nil {
		p.note(e.Origin, "option %q: %v", e.Name, err)
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		b.items = append(b.items, lines.Text())
	}
	return p.open(e, b)
}
