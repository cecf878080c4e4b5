package routing

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// variableActions change variables of the request.
var variableActions = map[string]builder{
	"addvar":        addvarAction,
	"setapp":        setAction("UWSGI_APPID"),
	"setuser":       setAction("REMOTE_USER"),
	"setfile":       setAction("UWSGI_FILE"),
	"setscriptname": setAction("SCRIPT_NAME"),
	"setmethod":     setAction("REQUEST_METHOD"),
	"seturi":        setAction("REQUEST_URI"),
	"setremoteaddr": setAction("REMOTE_ADDR"),
	"setpathinfo":   setAction("PATH_INFO"),
	"setdocroot":    setAction("DOCUMENT_ROOT"),
	"setscheme":     setAction("UWSGI_SCHEME"),
	"fixpathinfo":   fixPathInfoAction,
	"rewrite":       rewriteAction(next),
	"rewrite-last":  rewriteAction(proceed),
	"+":             arithmeticAction(Add),
	"-":             arithmeticAction(Subtract),
	"*":             arithmeticAction(Multiply),
	"/":             arithmeticAction(Divide),
	"hash":          hashAction,

	"setmodifier1": modifierAction(func(e *Effects) *int { return &e.Modifier1 }),
	"setmodifier2": modifierAction(func(e *Effects) *int { return &e.Modifier2 }),
	"setprocname": func(c *compiler, argument string) (action, error) {
		c.waits()
		name := c.template(argument)
		return func(r *Request) outcome { r.Effects.ProcName = cut(name.text(r)); return next }, nil
	},
}

// put sets a variable, or ends the request because the block has no room for it.
func (r *Request) put(name string, value []byte) outcome {
	if !r.set(name, value) {
		r.log(fmt.Sprintf("there is no room for the variable %s", name))
		return r.fail("500")
	}
	return next
}

func setAction(name string) builder {
	return func(c *compiler, argument string) (action, error) {
		value := c.template(argument)
		return func(r *Request) outcome { return r.put(name, value.text(r)) }, nil
	}
}

func addvarAction(c *compiler, argument string) (action, error) {
	name, value, found := strings.Cut(argument, "=")
	if !found || name == "" {
		return nil, errors.New("invalid addvar syntax, must be KEY=VAL")
	}
	return setAction(name)(c, value)
}

// fixPathInfoAction takes SCRIPT_NAME off PATH_INFO.
func fixPathInfoAction(c *compiler, argument string) (action, error) {
	script, path := c.program.names.add("SCRIPT_NAME"), c.program.names.add("PATH_INFO")
	return plain(func(r *Request) outcome {
		rest, found := bytes.CutPrefix(r.variable(path), r.variable(script))
		if !found || len(r.variable(script)) == 0 {
			return next
		}
		return r.put("PATH_INFO", rest)
	})(c, argument)
}

// arithmeticAction is +:NAME,NUMBER and its kin; without a number it is 1. What is missing or is no number is 0.
func arithmeticAction(op Operation) builder {
	return func(c *compiler, argument string) (action, error) {
		name, number, given := strings.Cut(argument, ",")
		if name == "" {
			return nil, errors.New("it needs the name of a variable")
		}
		if !given {
			number = "1"
		}
		variable, by := c.program.names.add(name), c.template(number)
		return func(r *Request) outcome {
			n := op.of(leadingInt(r.variable(variable)), leadingInt(by.look(r)))
			return r.put(name, r.keep(strconv.AppendInt(r.begin(), n, 10)))
		}, nil
	}
}

func modifierAction(field func(e *Effects) *int) builder {
	return func(_ *compiler, argument string) (action, error) {
		n, err := numberUpTo(argument, 255)
		return func(r *Request) outcome { *field(&r.Effects) = n; return next }, err
	}
}

// rewriteAction is rewrite:/PATH?QUERY: the new path, and a query that comes before the old one.
func rewriteAction(after outcome) builder {
	return func(c *compiler, argument string) (action, error) {
		t := c.template(argument)
		query := c.program.names.add("QUERY_STRING")
		encoded := c.encoded
		return func(r *Request) outcome {
			text := r.keep(t.appendURI(r.begin(), r, encoded))
			path, added, found := bytes.Cut(text, []byte("?"))
			if out := r.put("PATH_INFO", r.keep(appendPath(r.begin(), path))); out != next {
				return out
			}
			if !found {
				return after
			}
			whole := append(r.begin(), added...)
			if old := r.variable(query); len(old) > 0 {
				whole = append(append(whole, '&'), old...)
			}
			if out := r.put("QUERY_STRING", r.keep(whole)); out != next {
				return out
			}
			return after
		}, nil
	}
}

// appendURI appends the text of a path and a query that are percent-encoded. What was read already, as PATH_INFO, is
// encoded again, so that it is not read twice, and a question mark in it begins no query.
func (t *template) appendURI(to []byte, r *Request, encodedCaptures bool) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.kind == literalPart, p.encoded, p.kind == capturePart && encodedCaptures:
			to = p.append(to, r)
		default:
			to = appendEscaped(to, p.append(nil, r), func(b byte) bool { return b == '%' || b == '?' || b == '#' || b <= ' ' || b == 0x7f })
		}
	}
	return to
}

// appendPath reads percent signs, and takes "." and ".." out; more than there is to go up stays at the root.
func appendPath(to, path []byte) []byte {
	from := len(to)
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if high, low := hexValue(path[i+1]), hexValue(path[i+2]); high >= 0 && low >= 0 {
				to = append(to, byte(high<<4|low))
				i += 2
				continue
			}
		}
		to = append(to, path[i])
	}
	return to[:from+len(withoutDots(to[from:]))]
}

func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// withoutDots resolves the segments "." and ".." of a path in place. Empty segments stay.
func withoutDots(path []byte) []byte {
	if !bytes.Contains(path, []byte("/.")) {
		return path
	}
	out := path[:0]
	for rest := path; len(rest) > 0; {
		size := 1 + bytes.IndexByte(rest[1:], '/') // the next segment with the slash before it
		if size == 0 {
			size = len(rest)
		}
		segment := rest[:size]
		rest = rest[size:]
		switch last := len(rest) == 0; {
		case string(segment) == "/." || string(segment) == "/..":
			if len(segment) == 3 {
				out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			}
			if last {
				out = append(out, '/')
			}
		default:
			out = append(out, segment...)
		}
	}
	return out
}
