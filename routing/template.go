package routing

import (
	"strings"
)

// template is a text with captures ($1), variables (${NAME}) and functions (${name[argument]}) in it.
type template struct {
	parts    []part
	constant []byte // the whole text, if it is the same for all requests; nil: it is not
}

// part is a literal, a capture, a variable or a function.
type part struct {
	kind     partKind
	text     []byte // of a literal
	n        int    // of a capture or variable
	function function
	encoded  bool // of a variable: its text is percent-encoded still, as it was sent
}

type partKind uint8

const (
	literalPart partKind = iota
	capturePart
	variablePart
	functionPart
)

// function appends what it makes of a request.
type function func(to []byte, r *Request) []byte

// template reads a text. What is no capture, variable or function stays as it is, as a $ alone or ${ without its end.
func (c *compiler) template(text string) *template {
	t := &template{}
	literal := strings.Builder{}
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{text: []byte(literal.String())})
			literal.Reset()
		}
	}
	for len(text) > 0 {
		dollar := strings.IndexByte(text, '$')
		if dollar < 0 || dollar == len(text)-1 {
			break
		}
		literal.WriteString(text[:dollar])
		text = text[dollar:]
		if digit := text[1]; digit >= '0' && digit <= '9' {
			flush()
			c.captures = true
			t.parts = append(t.parts, part{kind: capturePart, n: int(digit - '0')})
			text = text[2:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if text[1] != '{' { // it goes with the $: $${X} is no variable
			literal.WriteString(text[:2])
			text = text[2:]
			continue
		}
		if end < 0 {
			break
		}
		flush()
		if p, some := c.insertion(text[2:end]); some {
			t.parts = append(t.parts, p)
		}
		text = text[end+1:]
	}
	literal.WriteString(text)
	flush()
	switch {
	case len(t.parts) == 0:
		t.constant = []byte{}
	case len(t.parts) == 1 && t.parts[0].kind == literalPart:
		t.constant = t.parts[0].text
	}
	return t
}

// insertion reads what is between ${ and }. It is nothing where uWSGI has no such function either.
func (c *compiler) insertion(name string) (part, bool) {
	word, argument, found := strings.Cut(name, "[")
	if !found {
		if name == "" {
			return part{}, false
		}
		return part{kind: variablePart, n: c.program.names.add(name), encoded: isEncoded(name)}, true
	}
	argument, closed := strings.CutSuffix(argument, "]")
	build := functions[word]
	if !closed || build == nil {
		c.noteNothing(name, word)
		return part{}, false
	}
	f := build(c, argument)
	if f == nil {
		return part{}, false
	}
	return part{kind: functionPart, function: f}, true
}

// isEncoded tells whether a variable holds what was sent, before its percent signs were read.
func isEncoded(name string) bool {
	return name == "REQUEST_URI" || name == "QUERY_STRING" || strings.HasPrefix(name, "HTTP_")
}

// append appends the text for a request.
func (t *template) append(to []byte, r *Request) []byte {
	if t.constant != nil {
		return append(to, t.constant...)
	}
	for i := range t.parts {
		to = t.parts[i].append(to, r)
	}
	return to
}

func (p *part) append(to []byte, r *Request) []byte {
	switch p.kind {
	case capturePart:
		return append(to, r.capture(p.n)...)
	case variablePart:
		return append(to, r.variable(p.n)...)
	case functionPart:
		return p.function(to, r)
	}
	return append(to, p.text...)
}

// text returns the text for a request, which stays until the request's Reset. It is not to be written to.
func (t *template) text(r *Request) []byte {
	if t.constant != nil {
		return t.constant
	}
	return r.keep(t.append(r.begin(), r))
}

// look returns the text as long as nothing changes: it may be the variable itself.
func (t *template) look(r *Request) []byte {
	if t.constant == nil && len(t.parts) == 1 {
		switch p := &t.parts[0]; p.kind {
		case variablePart:
			return r.variable(p.n)
		case capturePart:
			return r.capture(p.n)
		}
	}
	return t.text(r)
}

// capture returns a group of the expression that the rule has matched with; empty when there is none.
func (r *Request) capture(n int) []byte {
	if 2*n+1 >= len(r.spans) || r.spans[2*n] < 0 {
		return nil
	}
	return r.subject[r.spans[2*n]:r.spans[2*n+1]]
}

// begin returns where a text of the request's own is appended to; keep takes it, and returns the new part of it. In
// between nothing else may be made.
func (r *Request) begin() []byte { return r.arena }

func (r *Request) keep(grown []byte) []byte {
	from := len(r.arena)
	r.arena = grown
	return grown[from:len(grown):len(grown)]
}
