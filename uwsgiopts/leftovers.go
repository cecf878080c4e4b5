package uwsgiopts

import (
	"fmt"
	"strconv"
	"strings"
)

// placeholderLike is text that its writer may take for a placeholder.
var placeholderLike = compiled(`[%$@]\([^()]+\)|\$\{[^{}]+\}`)

// ownSyntax are the options whose values have $ and % of their own: templates, commands of a shell, code, regular
// expressions, and words for other options.
var ownSyntax = compiled(`route|cron|alarm|daemon|encoder|logger|log-?format|code-string|` +
	`^(hook|exec|log-filter|log-drain|touch-exec|after-request|vassals?|emperor|worker-exec|legion|stats-push)|` +
	`^(eval|i?print|set|set-ph|set-placeholder|declare-option2?|inject-.*|if-not-hostname-match|if-hostname-match)$`)

// leftovers reports what looks like a placeholder and has stayed as it is, and percent signs that have vanished.
// Both are as in uWSGI, and hardly ever meant.
func (p *parser) leftovers() {
	for _, e := range p.pairs {
		if len(p.uses) > 0 {
			if use, is := p.uses[e.Origin.place()]; is {
				delete(p.uses, e.Origin.place())
				p.noteLetters(e, use)
			}
		}
		if !e.placeholder && !e.Flag && strings.ContainsAny(e.Value, "$%@") {
			p.noteLeftover(e)
		}
	}
}

// noteLeftover reports the first text of a value that looks like a placeholder, where it can be nothing else.
func (p *parser) noteLeftover(e *entry) {
	o := p.options.find(e.Name)
	if o == nil && !private(e.Name) || strings.HasPrefix(e.Value, "exec://") ||
		o != nil && (o.Kind() == PatternMapping || ownSyntax().MatchString(o.Name())) {
		return
	}
	for _, text := range placeholderLike().FindAllString(e.Value, -1) {
		if reason := p.whyLeft(e, o, text); reason != "" {
			p.note(e.Origin, "option %q: %.80s is left unchanged: %s", e.Name, text, reason)
			return
		}
	}
}

// whyLeft says why a placeholder has not been replaced; "": that has been said already.
func (p *parser) whyLeft(e *entry, o *Option, text string) string {
	name := text[2 : len(text)-1]
	first := p.first[name]
	switch {
	case text[1] == '{':
		return "environment variables are written $(NAME)"
	case o != nil && o.Flags&Immediate != 0:
		return "this option takes effect before placeholders are expanded"
	case !e.replaced:
		return "it was read after placeholders had been expanded"
	case text[0] == '$':
		return fmt.Sprintf("the environment variable %.80q is not set", name)
	case text[0] == '%' && first == nil:
		return fmt.Sprintf("no setting is named %.80q", name)
	case text[0] == '%' && first.Flag:
		return fmt.Sprintf("%.80q has no value", name)
	}
	return ""
}

// dateOptions take strftime formats, whose letters are magic variables in a file.
var dateOptions = map[string]bool{"log-date": true, "logdate": true, "log-prefix": true}

// noteLetters reports letters after a percent sign that were hardly meant to be magic variables.
func (p *parser) noteLetters(e *entry, use magicUse) {
	letters := func(list string) string {
		var all []string
		for _, letter := range list {
			all = append(all, strconv.Quote("%"+string(letter)))
		}
		return strings.Join(all, ", ")
	}
	switch {
	case dateOptions[e.Name] || strings.Contains(e.Value, "${strftime:"):
		p.note(e.Origin, "option %q: %s were expanded as magic variables: in a file, write dates with two percent signs, as in %%%%Y",
			e.Name, letters(use.known+use.unknown))
	case use.unknown != "":
		p.note(e.Origin, "option %q: %s was removed: there is no such magic variable; a percent sign is written %%%%", e.Name, letters(use.unknown))
	}
}
