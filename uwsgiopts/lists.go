package uwsgiopts

import "strings"

// wordList is the value of a blacklist or whitelist.
type wordList struct{ words map[string]bool }

func newWordList(text string) *wordList {
	l := &wordList{words: map[string]bool{}}
	for _, word := range strings.Fields(text) {
		l.words[strings.ToLower(word)] = true
	}
	return l
}

func (l *wordList) has(name string) bool { return l.words[strings.ToLower(name)] }

func runBlacklist(p *parser, e *entry) error {
	p.forbid = newWordList(e.Value)
	return nil
}

func runEndBlacklist(p *parser, _ *entry) error {
	p.forbid = nil
	return nil
}

func runWhitelist(p *parser, e *entry) error {
	p.permit = newWordList(e.Value)
	return nil
}

func runEndWhitelist(p *parser, _ *entry) error {
	p.permit = nil
	return nil
}

// allowed refuses what a blacklist names and what a whitelist does not.
func (p *parser) allowed(e *entry) error {
	switch {
	case p.forbid != nil && p.forbid.has(e.Name):
		return refuse(e.Origin, "forbidden option %q (by blacklist)", e.Name)
	case p.permit != nil && !p.permit.has(e.Name):
		return refuse(e.Origin, "forbidden option %q (by whitelist)", e.Name)
	}
	return nil
}
