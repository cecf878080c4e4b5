package uwsgiopts

import (
	"fmt"
	"slices"
	"strings"
)

// runCompletion writes a shell's completion script, which is made from the option table.
func runCompletion(p *parser, e *entry) error {
	write := map[string]func(*table) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[e.Value]
	if write == nil {
		return refuse(e.Origin, "--completion: %q is none of bash, zsh, fish", e.Value)
	}
	fmt.Fprint(p.opts.Stdout, write(p.options))
	return leave(0)
}

// offered returns the names that a shell should propose: not those that only refuse to start.
func (t *table) offered() []listed {
	return slices.DeleteFunc(t.names(), func(l listed) bool { return l.option.Unsupported != "" })
}

func bashCompletion(t *table) string {
	var words []string
	for _, l := range t.offered() {
		words = append(words, "--"+l.name)
	}
	return fmt.Sprintf(`# bash completion for envoxyd
_envoxyd() {
    local word=${COMP_WORDS[COMP_CWORD]}
    case $word in
    -*) COMPREPLY=($(compgen -W %q -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
}
complete -o filenames -F _envoxyd envoxyd
`, strings.Join(words, " "))
}

func zshCompletion(t *table) string {
	var b strings.Builder
	b.WriteString("#compdef envoxyd\n_arguments -s \\\n")
	for _, l := range t.offered() {
		value := ""
		switch l.option.Arg {
		case RequiredArg:
			value = "=:value:_files"
		case OptionalArg:
			value = "=-::value:"
		}
		doc := strings.NewReplacer("[", "(", "]", ")", ":", "\\:", "'", "'\\''").Replace(l.option.Doc)
		name := "--" + l.name
		head, _, _ := strings.Cut(value, ":")
		fmt.Fprintf(&b, "  '%s%s[%s]%s' \\\n", name, head, doc, strings.TrimPrefix(value, head))
	}
	b.WriteString("  '*:configuration file:_files'\n")
	return b.String()
}

func fishCompletion(t *table) string {
	var b strings.Builder
	b.WriteString("# fish completion for envoxyd\n")
	for _, l := range t.offered() {
		fmt.Fprintf(&b, "complete -c envoxyd -l %s", l.name)
		if l.option.Short != 0 {
			fmt.Fprintf(&b, " -s %c", l.option.Short)
		}
		if l.option.Arg == RequiredArg {
			b.WriteString(" -r")
		}
		fmt.Fprintf(&b, " -d '%s'\n", strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(l.option.Doc))
	}
	return b.String()
}
