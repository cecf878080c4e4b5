package uwsgiopts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// runCompletion writes a shell's completion script, which is made from the option table.
func runCompletion(p *parser, e *entry) error { return p.writeCompletion([]string{e.Value}) }

// writeCompletion is the command completion SHELL.
func (p *parser) writeCompletion(args []string) error {
	shell := strings.Join(args, " ")
	write := map[string]func(*table) string{shells[0]: bashCompletion, shells[1]: zshCompletion, shells[2]: fishCompletion}[shell]
	if write == nil {
		return p.usage("completion: %q is not one of %s", shell, strings.Join(shells, ", "))
	}
	fmt.Fprint(p.opts.Stdout, write(p.options))
	return leave(0)
}

// shells are those that there are completion scripts for.
var shells = []string{"bash", "zsh", "fish"}

// commandNames are the words that may be the first of a command line, in order.
func commandNames() []string { return slices.Sorted(maps.Keys(commands())) }

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
    case $COMP_CWORD:${COMP_WORDS[1]}:$word in
    *:-*) COMPREPLY=($(compgen -W %q -- "$word")) ;;
    2:completion:*) COMPREPLY=($(compgen -W %q -- "$word")) ;;
    1:*) COMPREPLY=($(compgen -W %q -- "$word") $(compgen -f -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
}
complete -o filenames -F _envoxyd envoxyd
`, strings.Join(words, " "), strings.Join(shells, " "), strings.Join(commandNames(), " "))
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
	fmt.Fprintf(&b, "  '1:command or configuration file:{_alternative \"commands:command:(%s)\" \"files:file:_files\"}' \\\n", strings.Join(commandNames(), " "))
	b.WriteString("  '*:configuration file:_files'\n")
	return b.String()
}

func fishCompletion(t *table) string {
	var b strings.Builder
	b.WriteString("# fish completion for envoxyd\n")
	fmt.Fprintf(&b, "complete -c envoxyd -n __fish_use_subcommand -a '%s'\n", strings.Join(commandNames(), " "))
	fmt.Fprintf(&b, "complete -c envoxyd -n '__fish_seen_subcommand_from completion' -f -a '%s'\n", strings.Join(shells, " "))
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
