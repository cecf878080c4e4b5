package uwsgiopts

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// Where the texts of --help begin: the names, and what is said of them.
const (
	helpIndent = 4
	helpColumn = 48
)

// runHelp lists all options, or those that the next word of the command line names: a section, an option, or part of one.
func runHelp(p *parser, e *entry) error {
	topic := p.helpTopic(e)
	if topic == "" {
		p.writeHelp(p.opts.Stdout, Sections())
		return leave(0)
	}
	return p.explain(topic)
}

// helpTopic is the word behind --help; "": there is none, or it is a configuration file.
func (p *parser) helpTopic(e *entry) string {
	for i, word := range p.args {
		if (word == "--"+e.Name || word == "-h") && i+1 < len(p.args) {
			next := p.args[i+1]
			if !strings.HasPrefix(next, "-") && suffixes[path.Ext(next)] == "" {
				return next
			}
		}
	}
	return ""
}

// writeHelp lists sections: every name with its letter, its documentation and, if it has no effect, why.
func (p *parser) writeHelp(w io.Writer, sections []Section) {
	fmt.Fprintf(w, "Usage: %s [options...]\n", p.opts.Args0)
	for _, section := range sections {
		fmt.Fprintf(w, "\n%s\n", section.Title)
		for i := range section.Options {
			p.writeOption(w, &section.Options[i])
		}
	}
	fmt.Fprintf(w, "\n%s --help SECTION or OPTION tells of these alone; %[1]s options WORD searches.\n", p.opts.Args0)
}

// writeOption writes a line for each name; what does not fit on it goes on below.
func (p *parser) writeOption(w io.Writer, o *Option) {
	about := o.Doc + o.remark()
	if text := o.DefaultText(); text != "" {
		about = o.Doc + " (default: " + text + ")" + o.remark()
	}
	for _, name := range o.Names {
		name = "--" + name
		if o.Short != 0 {
			name = fmt.Sprintf("-%c|%s", o.Short, name)
		}
		fmt.Fprintf(w, "%*s%-*s", helpIndent, "", helpColumn-helpIndent, name)
		lines := wrap(about, p.opts.Width-helpColumn-1)
		fmt.Fprintf(w, " %s\n", lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "%*s%s\n", helpColumn+1, "", line)
		}
	}
}

// narrowest is the least room, in columns, that text is wrapped to; with less it stays on its line.
const narrowest = 20

// wrap breaks a text into lines of at most width bytes, at blanks.
func wrap(text string, width int) []string {
	if width < narrowest {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// remark tells why an option has no effect.
func (o *Option) remark() string {
	switch o.Status() {
	case NoOp:
		return " [not needed: " + o.NoOp + "]"
	case Unsupported:
		return " [unsupported: " + o.Unsupported + "]"
	}
	return ""
}

func runVersion(p *parser, _ *entry) error {
	version := Version
	if p.opts.Build != "" {
		version += "+" + p.opts.Build
	}
	fmt.Fprintln(p.opts.Stdout, version)
	return leave(0)
}

func runDumpOptions(p *parser, _ *entry) error {
	for _, l := range p.options.names() {
		fmt.Fprintln(p.opts.Stdout, l.name)
	}
	return leave(0)
}

// WriteShowConfig writes all settings as an ini file, in the order they were given.
func (c *Config) WriteShowConfig(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\n;uWSGI instance configuration\n[uwsgi]\n")
	for _, pair := range c.Pairs {
		value := pair.Value
		if pair.Flag {
			value = "true"
		}
		fmt.Fprintf(&b, "%s = %s\n", pair.Name, value)
	}
	b.WriteString(";end of configuration\n\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}
