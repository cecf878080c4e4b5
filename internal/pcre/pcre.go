// Package pcre matches the regular expressions of uWSGI's options, which are Perl's.
package pcre

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// matchTimeout is how long one match may take with an expression that can go through a
// text in exponentially many ways.
const matchTimeout = 100 * time.Millisecond

// Pattern is an expression that texts are compared with. It may be used by several goroutines.
type Pattern struct {
	plain        plain           // what can be told without an engine
	linear       *regexp.Regexp  // for all but
	backtracking *regexp2.Regexp // what has look-around, back references and the like
}

// Compile reads an expression.
func Compile(text string) (*Pattern, error) {
	if tree, err := syntax.Parse(text, syntax.Perl); err == nil {
		plain := plainOf(tree)
		linear, err := regexp.Compile(endBeforeNewline(tree).String())
		if err == nil {
			return &Pattern{plain: plain, linear: linear}, nil
		}
	}
	backtracking, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	backtracking.MatchTimeout = matchTimeout
	return &Pattern{backtracking: backtracking}, nil
}

// Match tells whether the expression is found anywhere in the text. One that takes too long is not.
// Nothing is allocated unless the expression has look-around or the like.
func (p *Pattern) Match(text []byte) bool {
	if p.linear != nil {
		if found, known := p.plain.match(text); known {
			return found
		}
		return p.linear.Match(text)
	}
	found, err := p.backtracking.MatchString(string(text))
	return err == nil && found
}

// Groups returns the number of groups in parentheses.
func (p *Pattern) Groups() int {
	if p.linear != nil {
		return p.linear.NumSubexp()
	}
	return len(p.backtracking.GetGroupNumbers()) - 1
}

// Find is Match that tells where: it appends to spans, for the whole match and then for each group, the offsets
// in bytes of its begin and end; -1 for a group that takes no part.
func (p *Pattern) Find(spans []int, text []byte) ([]int, bool) {
	if p.linear != nil {
		if found, known := p.plain.match(text); known && !found {
			return spans, false
		}
		found := p.linear.FindSubmatchIndex(text)
		return append(spans, found...), found != nil
	}
	s := string(text)
	found, err := p.backtracking.FindStringMatch(s)
	if err != nil || found == nil {
		return spans, false
	}
	for _, group := range found.Groups() {
		if len(group.Captures) == 0 {
			spans = append(spans, -1, -1)
			continue
		}
		begin := runesToBytes(s, 0, group.Index)
		spans = append(spans, begin, runesToBytes(s, begin, group.Length))
	}
	return spans, true
}

// runesToBytes returns the offset that is n runes after an offset; regexp2 counts in runes.
func runesToBytes(s string, from, n int) int {
	for ; n > 0 && from < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[from:])
		from += size
	}
	return from
}

// newlineAtEnd is what $ stands for in Perl: the end, or a line break that is the last character.
var newlineAtEnd = mustParse(`(?:\n?\z)`)

func mustParse(text string) *syntax.Regexp {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		panic(err)
	}
	return tree
}

func endBeforeNewline(tree *syntax.Regexp) *syntax.Regexp {
	if tree.Op == syntax.OpEndText && tree.Flags&syntax.WasDollar != 0 {
		return newlineAtEnd
	}
	for i, sub := range tree.Sub {
		tree.Sub[i] = endBeforeNewline(sub)
	}
	return tree
}
