package uwsgiopts

import (
	"fmt"
	"slices"
	"strings"
)

// commands returns the words that do something else than serve when they are the first of a command line. A file of such a name could not be
// meant: without an extension none is read as configuration.
func commands() map[string]func(p *parser, args []string) error {
	return map[string]func(p *parser, args []string) error{
		"options": (*parser).searchOptions, "completion": (*parser).writeCompletion, "service": command(ActionService), "init": command(ActionInit),
	}
}

// runCommand carries out a command, if the command line is one.
func (p *parser) runCommand(args []string) error {
	if len(args) == 0 {
		return nil
	}
	run := commands()[args[0]]
	if run == nil {
		return nil
	}
	return run(p, args[1:])
}

// command is one that others than this package carry out: service [FILE [KEY=VALUE...]], init [KIND].
func command(kind ActionKind) func(p *parser, words []string) error {
	return func(_ *parser, words []string) error { return &endError{Action{Kind: kind, Words: words}} }
}

// searchOptions lists the sections, or the options whose names or texts have all of the words.
func (p *parser) searchOptions(words []string) error {
	if len(words) == 0 {
		fmt.Fprintf(p.opts.Stdout, "Usage: %s options WORD...\n\nSections:\n", p.opts.Args0)
		for _, section := range Sections() {
			fmt.Fprintf(p.opts.Stdout, "    %s\n", section.Title)
		}
		return leave(0)
	}
	found := search(func(section string, o *Option) bool {
		text := strings.ToLower(section + " " + strings.Join(o.Names, " ") + " " + o.Doc)
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, strings.ToLower(strings.TrimLeft(word, "-"))) })
	})
	if len(found) == 0 {
		return p.usage("no option has to do with %q%s", strings.Join(words, " "), p.nearestHint(strings.TrimLeft(words[0], "-")))
	}
	p.writeHelp(p.opts.Stdout, found)
	return leave(0)
}

// explain tells of one option, one section, or the options that have the word in their names.
func (p *parser) explain(topic string) error {
	name := strings.ToLower(strings.TrimLeft(topic, "-"))
	for _, matches := range []func(section string, o *Option) bool{
		func(_ string, o *Option) bool { return slices.Contains(o.Names, strings.ReplaceAll(name, "_", "-")) },
		func(section string, _ *Option) bool { return strings.HasPrefix(strings.ToLower(section), name) },
		func(section string, _ *Option) bool { return strings.Contains(strings.ToLower(section), name) },
		func(_ string, o *Option) bool {
			return slices.ContainsFunc(o.Names, func(n string) bool { return strings.Contains(n, name) })
		},
	} {
		if found := search(matches); len(found) > 0 {
			p.writeHelp(p.opts.Stdout, found)
			return leave(0)
		}
	}
	return p.usage("there is no section and no option %q%s", topic, p.nearestHint(name))
}

// search returns the options that match, in their sections.
func search(matches func(section string, o *Option) bool) (found []Section) {
	for _, section := range Sections() {
		some := Section{Title: section.Title}
		for _, o := range section.Options {
			if matches(section.Title, &o) {
				some.Options = append(some.Options, o)
			}
		}
		if len(some.Options) > 0 {
			found = append(found, some)
		}
	}
	return found
}
