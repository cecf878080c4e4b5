package pcre

import (
	"bytes"
	"regexp/syntax"
)

// plain is what of an expression is literal text. Most expressions of rules begin with ^ and some text, and most
// texts do not: that is told without an engine.
type plain struct {
	kind    plainKind
	literal []byte
	newline bool // exact and suffix: a line break may follow
}

type plainKind uint8

const (
	noPlain    plainKind = iota
	always               // whatever the text
	contains             // the literal
	prefix               // begins with it
	suffix               // ends with it
	exact                // is it
	needPrefix           // what does not begin with it does not match; else the engine tells
)

// match returns whether the text matches, if that is known.
func (p *plain) match(text []byte) (found, known bool) {
	switch p.kind {
	case always:
		return true, true
	case contains:
		return bytes.Contains(text, p.literal), true
	case prefix:
		return bytes.HasPrefix(text, p.literal), true
	case suffix:
		return bytes.HasSuffix(text, p.literal) || p.newline && bytes.HasSuffix(withoutNewline(text), p.literal), true
	case exact:
		return bytes.Equal(text, p.literal) || p.newline && bytes.Equal(withoutNewline(text), p.literal), true
	case needPrefix:
		return false, !bytes.HasPrefix(text, p.literal)
	}
	return false, false
}

func withoutNewline(text []byte) []byte { return bytes.TrimSuffix(text, []byte("\n")) }

// plainOf looks at the parts of an expression: an anchor, a literal, and what follows.
func plainOf(tree *syntax.Regexp) plain {
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	begin := len(parts) > 0 && parts[0].Op == syntax.OpBeginText
	if begin {
		parts = parts[1:]
	}
	var literal []byte
	if len(parts) > 0 && parts[0].Op == syntax.OpLiteral && parts[0].Flags&syntax.FoldCase == 0 {
		literal = []byte(string(parts[0].Rune))
		parts = parts[1:]
	}
	switch {
	case len(parts) == 0 || allOptional(parts):
		switch {
		case len(literal) == 0:
			return plain{kind: always}
		case begin:
			return plain{kind: prefix, literal: literal}
		}
		return plain{kind: contains, literal: literal}
	case len(parts) == 1 && parts[0].Op == syntax.OpEndText:
		newline := parts[0].Flags&syntax.WasDollar != 0
		if begin {
			return plain{exact, literal, newline}
		}
		return plain{suffix, literal, newline}
	case begin && len(literal) > 0:
		return plain{kind: needPrefix, literal: literal}
	}
	return plain{}
}

// allOptional tells whether nothing is all that is asked for, as .* at the end.
func allOptional(parts []*syntax.Regexp) bool {
	for _, part := range parts {
		for part.Op == syntax.OpCapture {
			part = part.Sub[0]
		}
		if part.Op != syntax.OpStar && part.Op != syntax.OpQuest {
			return false
		}
	}
	return true
}
