package uwsgiopts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	maxExpansion = 64       // placeholders within placeholders
	maxWork      = 16 << 20 // bytes that may be gone through in one Parse to replace them all
)

// replacePlaceholders makes uWSGI's three passes over all values that no option has used yet.
func (p *parser) replacePlaceholders() error {
	passes := []struct {
		symbol byte
		value  func(name string) (string, bool, error)
	}{
		{'$', p.variable},
		{'@', p.fileContent},
		{'%', p.placeholder},
	}
	for _, pass := range passes {
		for _, e := range p.pairs {
			e.replaced = true
			if e.done || e.placeholder || e.Flag || !strings.Contains(e.Value, string([]byte{pass.symbol, '('})) {
				continue
			}
			x := expansion{symbol: pass.symbol, value: pass.value, parser: p, origin: e.Origin}
			if pass.symbol == '%' && p.first[e.Name] == e && !strings.ContainsRune(e.Name, ' ') {
				x.open = []string{e.Name}
			}
			text, err := x.expand(e.Value)
			if err != nil {
				err = p.tolerate(refuse(e.Origin, "option %q: %w", e.Name, err))
				if err != nil {
					return err
				}
				continue
			}
			e.Value = text
		}
	}
	return nil
}

// expansion replaces SYMBOL(name) in one value.
type expansion struct {
	symbol byte
	value  func(name string) (string, bool, error)
	parser *parser
	open   []string // names whose values are being expanded
	depth  int      // names within names
	origin Origin
	noted  bool // the notice of a name in itself has been given
}

// expand replaces from left to right, inner names first. What has no value stays as it is.
func (x *expansion) expand(s string) (string, error) {
	if err := x.parser.work(len(s)); err != nil {
		return "", err
	}
	var out strings.Builder
	for i := 0; i < len(s); {
		if s[i] != x.symbol || i+1 >= len(s) || s[i+1] != '(' {
			out.WriteByte(s[i])
			i++
			continue
		}
		end := closing(s, i+1)
		scanned := end - i
		if end < 0 {
			scanned = len(s) - i
		}
		if err := x.parser.work(scanned); err != nil {
			return "", err
		}
		if end < 0 {
			// An outer one that is never closed must not hide an inner one that is.
			out.WriteString(s[i : i+2])
			i += 2
			continue
		}
		text, err := x.one(s[i+2 : end])
		if err != nil {
			return "", err
		}
		out.WriteString(text)
		i = end + 1
	}
	return out.String(), nil
}

// one returns what stands for SYMBOL(name).
func (x *expansion) one(name string) (string, error) {
	if x.depth >= maxExpansion {
		return "", fmt.Errorf("more than %d placeholders within each other", maxExpansion)
	}
	x.depth++
	defer func() { x.depth-- }()
	name, err := x.expand(name)
	if err != nil {
		return "", err
	}
	literal := string(x.symbol) + "(" + name + ")"
	if name == "" {
		return literal, nil
	}
	if slices.Contains(x.open, name) {
		if !x.noted {
			x.noted = true
			x.parser.note(x.origin, "%.80s is left unchanged: it refers to itself", literal)
		}
		return literal, nil
	}
	value, ok, err := x.value(name)
	if err != nil || !ok {
		return literal, err
	}
	x.open = append(x.open, name)
	value, err = x.expand(value)
	x.open = x.open[:len(x.open)-1]
	return value, err
}

// work counts against a bound: values that contain each other can grow without one.
func (p *parser) work(bytes int) error {
	if p.worked += bytes; p.worked > maxWork {
		return fmt.Errorf("the expanded placeholders are too large")
	}
	return nil
}

// closing returns the index of the parenthesis that closes the one at open; -1: none does.
func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// variableName is one that can have a default: $(id -u) is for the shell, and no variable "id ".
var variableName = compiled(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variable is $(NAME), $(NAME-default) or $(NAME:-default), with the shell's meaning.
func (p *parser) variable(name string) (string, bool, error) {
	if v, ok := p.env.get(name); ok {
		return v, true, nil
	}
	dash := strings.IndexByte(name, '-')
	if dash < 0 {
		return "", false, nil
	}
	variable, orEmpty := strings.CutSuffix(name[:dash], ":")
	if v, ok := p.env.get(variable); ok && (v != "" || !orEmpty) {
		return v, true, nil
	}
	if !variableName().MatchString(variable) {
		return "", false, nil
	}
	return name[dash+1:], true, nil
}

// fileContent is @(file) without its last line end.
func (p *parser) fileContent(name string) (string, bool, error) {
	text, err := p.read(name)
	if strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\r") {
		text = text[:len(text)-1]
	}
	return text, true, err
}

// placeholder is %(name), or arithmetic when there are blanks in it.
func (p *parser) placeholder(name string) (string, bool, error) {
	if strings.ContainsAny(name, " \t\n\v\f\r") {
		v, err := p.compute(name)
		return v, true, err
	}
	v, ok := p.firstValue(name)
	return v, ok, nil
}

// firstValue is what a name was given first.
func (p *parser) firstValue(name string) (string, bool) {
	p.used[name] = true
	e := p.first[name]
	if e == nil || e.Flag {
		return "", false
	}
	return e.Value, true
}

// compute works through words from left to right without precedence. Words in a row are
// joined, an operator takes what is there and the word after it.
func (p *parser) compute(expression string) (string, error) {
	result, operator := "", ""
	for _, word := range strings.Fields(expression) {
		switch word {
		case "+", "-", "*", "/":
			operator = word
			continue
		case "++":
			result = arithmetic(result, "+", "1")
			continue
		case "--":
			result = arithmetic(result, "-", "1")
			continue
		}
		value := word
		if strings.Trim(word, "0123456789") != "" {
			value, _ = p.firstValue(word)
		}
		if err := p.work(len(result) + len(value)); err != nil {
			return "", err
		}
		if operator == "" {
			result += value
		} else {
			result = arithmetic(result, operator, value)
			operator = ""
		}
	}
	return result, nil
}

// arithmetic is on 64 bits; text counts as 0, and so does a division by 0.
func arithmetic(left, operator, right string) string {
	a, _, _ := leadingInt(left)
	b, _, _ := leadingInt(right)
	switch {
	case operator == "+":
		a += b
	case operator == "-":
		a -= b
	case operator == "*":
		a *= b
	case b == 0:
		a = 0
	default:
		a /= b
	}
	return strconv.FormatInt(a, 10)
}
