// Package pcre matches the regular expressions of uWSGI's options, which are Perl's.
package pcre

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTimeout is how long one match may take with an expression that can go through a
// text in exponentially many ways.
const matchTimeout = 100 * time.Millisecond

// Pattern is an expression that texts are compared with. It may be used by several goroutines.
type Pattern struct {
	linear       *regexp.Regexp  // for all but
	backtracking *regexp2.Regexp // what has look-around, back references and the like
}

// Compile reads an expression.
func Compile(text string) (*Pattern, error) {
	if tree, err := syntax.Parse(text, syntax.Perl); err == nil {
		linear, err := regexp.Compile(endBeforeNewline(tree).String())
		if err == nil {
			return &Pattern{linear: linear}, nil
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
func (p *Pattern) Match(text []byte) bool {
	if p.linear != nil {
		return p.linear.Match(text)
	}
	found, err := p.backtracking.MatchString(string(text))
	return err == nil && found
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
