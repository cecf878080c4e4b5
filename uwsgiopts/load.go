package uwsgiopts

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// source is configuration text and where it came from.
type source struct {
	name string
	text string
}

// formats are the languages of configuration files; each returns one section's settings.
var formats = map[string]func(text, section string) ([]line, error){
	"ini":  func(text, section string) ([]line, error) { return parseIni(text, section), nil },
	"yaml": parseYaml,
	"json": parseJSON,
	"xml":  parseXML,
}

// suffixes choose the language of files that are named without one.
var suffixes = map[string]string{".ini": "ini", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".js": "json"}

// loadBySuffix reads a positional, include or inherit file. It takes no section.
func (p *parser) loadBySuffix(name string, from Origin) error {
	format := suffixes[path.Ext(name)]
	if format == "" {
		return refuse(from, "unable to load configuration from %s", name)
	}
	if err := p.openText(format, name, "", from); err != nil {
		return err
	}
	return p.recordText(format, p.last, "", from)
}

// loadNamed reads the file of an option such as ini = name:section.
func (p *parser) loadNamed(format, ref string, from Origin) error {
	name, section := p.splitSection(ref)
	if err := p.openText(format, name, section, from); err != nil {
		return err
	}
	p.magic.keepFirst()
	return p.recordText(format, p.last, section, from)
}

// splitSection parts name:section at the last colon; the colons of a scheme and of a
// file that really has that name do not count.
func (p *parser) splitSection(ref string) (name, section string) {
	slash := 0
	if scheme := strings.Index(ref, "://"); scheme >= 0 {
		slash = strings.LastIndexByte(ref, '/')
	} else if strings.LastIndexByte(ref, ':') > 0 && p.exists(ref) {
		return ref, ""
	}
	if colon := strings.LastIndexByte(ref[slash:], ':'); colon >= 0 {
		return ref[:slash+colon], ref[slash+colon+1:]
	}
	return ref, ""
}

// openText makes a file the one that magic letters and ":section" refer to; name "" is the file read last.
func (p *parser) openText(format, name, section string, from Origin) error {
	if name == "" && section == "" {
		return refuse(from, "the name of a configuration file is missing")
	}
	if name == "" {
		if p.last.name == "" {
			return refuse(from, "section %q: no file has been read before", section)
		}
	} else {
		text, err := p.read(name)
		if err != nil {
			return refuseBecause(from, err)
		}
		p.last = source{name, text}
		p.fileRead = true
		p.note(Origin{}, "[uWSGI] getting %s configuration from %s", strings.ToUpper(format), name)
	}
	p.magic.enter(p.opts.Dir, name, section)
	return nil
}

// recordText substitutes and records one section.
func (p *parser) recordText(format string, src source, section string, from Origin) error {
	if section == "" {
		section = "uwsgi"
	}
	if err := p.enterText(p.path(src.name)+":"+section, from); err != nil {
		return err
	}
	defer p.leaveText()
	chain := from.Chain
	if from.Line > 0 {
		chain = append([]string{from.place()}, chain...)
	}
	before := strings.Join(p.before, "")
	text, uses := p.magic.replace(before + src.text + strings.Join(p.after, ""))
	lines, err := formats[format](text, section)
	if err != nil {
		return refuse(from, "%s: %w", src.name, err)
	}
	if len(lines) == 0 {
		p.note(Origin{}, "*** WARNING: no settings in section %q of %s%s ***", section, src.name, byteOrderHint(src.text))
	}
	injected := strings.Count(before, "\n")
	for _, l := range lines {
		o := Origin{Source: src.name, Line: max(l.number-injected, 0), Chain: slices.Clone(chain)}
		if use, is := uses[l.number]; is {
			p.uses[o.place()] = use
		}
		if err := p.tolerate(p.record(&entry{Pair: Pair{Name: l.key, Value: l.value, Origin: o}})); err != nil {
			return err
		}
	}
	return nil
}

const (
	maxIncludes = 64    // files within files
	maxTexts    = 4_000 // sections read in one Parse
)

// enterText refuses a section that is being read already: it would never end.
func (p *parser) enterText(section string, from Origin) error {
	p.texts++
	switch {
	case slices.Contains(p.reading, section):
		return refuse(from, "the configuration includes itself in a loop")
	case len(p.reading) >= maxIncludes:
		return refuse(from, "files are included more than %d levels deep", maxIncludes)
	case p.texts > maxTexts:
		return refuse(from, "more than %d files or sections are read", maxTexts)
	}
	p.reading = append(p.reading, section)
	return nil
}

func (p *parser) leaveText() { p.reading = p.reading[:len(p.reading)-1] }

func byteOrderHint(text string) string {
	if strings.HasPrefix(text, "\ufeff") {
		return " (the file begins with a byte order mark, which hides its first line)"
	}
	return ""
}

// inject reads the text that inject-before and inject-after name.
func (p *parser) inject(into *[]string, e *entry) error {
	text, err := p.read(e.Value)
	if err != nil {
		return fmt.Errorf("option %q: %w", e.Name, err)
	}
	*into = append(*into, text)
	return nil
}
