package uwsgiopts

import (
	"bytes"
	"fmt"
	"strings"
)

//go:generate go run ./gendocs ../docs/options.md

// Markdown returns the page of all options that stands in docs/options.md.
func Markdown() []byte {
	var b bytes.Buffer
	counts := map[Status]int{}
	names := 0
	for _, l := range allOptions().names() {
		counts[l.option.Status()]++
		names++
	}
	fmt.Fprintf(&b, `# Options

<!-- Generated from the option table in uwsgiopts/table_*.go by "go generate ./uwsgiopts"; edit that. -->

All %d option names are known: %d have their effect (**implemented**), %d are accepted but not needed here (**no-op**), and %d are refused,
with what to do instead (**unsupported**). Of the refused ones, `+"`--allow-missing`"+` lets a start leave out those that are marked (dispensable).

An option is given as `+"`--name value` or `--name=value`"+` on the command line, as `+"`name = value`"+` in a file, or as
`+"`UWSGI_NAME=value`"+` in the environment. "flag" is a yes unless its value is `+"`false`, `off`, `no` or `0`"+`; on the command line it takes none.
A value in brackets is optional and must be attached. Where no default is given, nothing is set. `+"`envoxyd --help OPTION`"+` tells of one option,
`+"`envoxyd --help SECTION`"+` of one section, and `+"`envoxyd options WORD`"+` of all that have to do with a word.
`, names, counts[Implemented], counts[NoOp], counts[Unsupported])
	for _, section := range Sections() {
		fmt.Fprintf(&b, "\n## %s\n\n| option | value | default | status | meaning |\n|---|---|---|---|---|\n", section.Title)
		for i := range section.Options {
			section.Options[i].markdownRow(&b)
		}
	}
	return b.Bytes()
}

func (o *Option) markdownRow(b *bytes.Buffer) {
	var names []string
	if o.Short != 0 {
		names = append(names, fmt.Sprintf("`-%c`", o.Short))
	}
	for _, name := range o.Names {
		names = append(names, "`"+name+"`")
	}
	meaning := o.Doc
	if o.NoOp != "" {
		meaning += " (not needed: " + o.NoOp + ")"
	}
	if o.Unsupported != "" {
		meaning += " (" + o.Unsupported + ")"
	}
	value := o.Kind().String()
	if o.Arg == OptionalArg && o.Kind() != Flag {
		value = "[" + value + "]"
	}
	status := o.Status().String()
	if o.Flags&Dispensable != 0 {
		status += " (dispensable)"
	}
	cells := []string{strings.Join(names, " "), value, o.DefaultText(), status, meaning}
	for i, cell := range cells {
		cells[i] = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(cell)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
