package routing

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// mathFunction is ${math[…]}: numbers, variables of the request, + - * / ^ and parentheses, calculated with floating
// point, of which the integer part is the result. A missing variable is 0; what is not a number is empty.
func mathFunction(c *compiler, text string) function {
	p := mathParser{text: text, names: &c.program.names}
	e, err := p.all()
	if err != nil {
		c.fail("${math[%s]}: %w", text, err)
		return nil
	}
	return func(to []byte, r *Request) []byte {
		n := math.Trunc(e(r))
		if math.IsNaN(n) || n < math.MinInt64 || n >= math.MaxInt64 {
			return to
		}
		return strconv.AppendInt(to, int64(n), 10)
	}
}

// expression is calculated for a request.
type expression func(r *Request) float64

// mathParser goes through an expression by recursive descent.
type mathParser struct {
	text  string
	names *nameTable
	depth int
}

// maxDepth limits parentheses.
const maxDepth = 50

func (p *mathParser) all() (expression, error) {
	e, err := p.sum()
	if err == nil && p.peek() != 0 {
		err = fmt.Errorf("%q is not understood", p.text)
	}
	return e, err
}

// peek returns the next byte that is no blank; 0: there is none.
func (p *mathParser) peek() byte {
	p.text = strings.TrimLeft(p.text, " \t")
	if p.text == "" {
		return 0
	}
	return p.text[0]
}

func (p *mathParser) sum() (expression, error) { return p.chain("+-", p.product) }

func (p *mathParser) product() (expression, error) { return p.chain("*/", p.power) }

// chain reads operands with operators of one rank between them.
func (p *mathParser) chain(operators string, operand func() (expression, error)) (expression, error) {
	left, err := operand()
	for err == nil {
		op := p.peek()
		if op == 0 || !strings.ContainsRune(operators, rune(op)) {
			return left, nil
		}
		p.text = p.text[1:]
		var right expression
		if right, err = operand(); err == nil {
			left = combine(op, left, right)
		}
	}
	return nil, err
}

func combine(op byte, a, b expression) expression {
	switch op {
	case '+':
		return func(r *Request) float64 { return a(r) + b(r) }
	case '-':
		return func(r *Request) float64 { return a(r) - b(r) }
	case '*':
		return func(r *Request) float64 { return a(r) * b(r) }
	case '/':
		return func(r *Request) float64 { return a(r) / b(r) }
	}
	return func(r *Request) float64 { return math.Pow(a(r), b(r)) }
}

// power binds to the right: 2^3^2 is 2^9.
func (p *mathParser) power() (expression, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("too many operators within operators")
	}
	defer func() { p.depth-- }()
	if p.peek() == '-' {
		p.text = p.text[1:]
		e, err := p.power()
		return func(r *Request) float64 { return -e(r) }, err
	}
	base, err := p.operand()
	if err != nil || p.peek() != '^' {
		return base, err
	}
	p.text = p.text[1:]
	exponent, err := p.power()
	return combine('^', base, exponent), err
}

func (p *mathParser) operand() (expression, error) {
	c := p.peek()
	if c == '(' {
		p.text = p.text[1:]
		e, err := p.sum()
		if err == nil && p.peek() != ')' {
			err = errors.New("a parenthesis is not closed")
		}
		if err != nil {
			return nil, err
		}
		p.text = p.text[1:]
		return e, nil
	}
	end := strings.IndexFunc(p.text, func(r rune) bool {
		return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && r != '_' && r != '.'
	})
	if end < 0 {
		end = len(p.text)
	}
	word := p.text[:end]
	p.text = p.text[end:]
	switch {
	case word == "" && c == 0:
		return nil, errors.New("something is missing at the end")
	case word == "":
		return nil, fmt.Errorf("%q is not understood", p.text)
	case c >= '0' && c <= '9' || c == '.':
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", word)
		}
		return func(*Request) float64 { return n }, nil
	}
	i := p.names.add(word)
	return func(r *Request) float64 { return float64(leadingInt(r.variable(i))) }, nil
}
