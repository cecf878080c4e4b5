package routing

import (
	"errors"
	"fmt"
	"strings"

	"envoxyd/internal/pcre"
)

// rule is a compiled rule.
type rule struct {
	kind        ruleKind
	subject     int // of an expression: index of the variable
	pattern     *pcre.Pattern
	captures    bool // the action uses $0 to $9
	status      int
	condition   condition
	negated     bool
	action      action
	label       string
	jump        *jumpTo // what the action may lead to
	description string  // as uWSGI logs it
	given       Rule
}

// ruleKind is what a rule looks at.
type ruleKind uint8

const (
	runRule       ruleKind = iota // nothing
	labelRule                     // never runs
	patternRule                   // a variable, by an expression
	statusRule                    // the response's status
	conditionRule                 // route-if
)

// action does what a rule is for.
type action func(r *Request) outcome

// outcome is how the stage goes on.
type outcome uint8

const (
	next    outcome = iota // with the next rule
	jump                   // with Request.target
	proceed                // not at all: the application is next
	end                    // not at all: Request.verdict
)

// matches tells whether the rule's action is to run.
func (u *rule) matches(r *Request) bool {
	switch u.kind {
	case patternRule:
		text := r.variable(u.subject)
		if !u.captures {
			return u.pattern.Match(text)
		}
		var found bool
		r.subject = text
		r.spans, found = u.pattern.Find(r.spans[:0], text)
		return found
	case statusRule:
		r.spans = r.spans[:0]
		return r.Status == u.status
	case conditionRule:
		r.spans = r.spans[:0]
		return u.condition(r) != u.negated
	case runRule:
		r.spans = r.spans[:0]
		return true
	}
	return false
}

// subjects are the variables that options look at, and the names that uWSGI logs.
var subjects = map[string][2]string{
	"route":             {"PATH_INFO", "path_info"},
	"route-host":        {"HTTP_HOST", "http_host"},
	"route-uri":         {"REQUEST_URI", "request_uri"},
	"route-qs":          {"QUERY_STRING", "query_string"},
	"route-remote-addr": {"REMOTE_ADDR", "remote_addr"},
	"route-user-agent":  {"HTTP_USER_AGENT", "user_agent"},
	"route-remote-user": {"REMOTE_USER", "remote_user"},
	"route-referer":     {"HTTP_REFERER", "referer"},
	"route-method":      {"REQUEST_METHOD", "request_method"},
}

// compiler reads one rule.
type compiler struct {
	program  *Program
	given    *Rule
	captures bool // $0 to $9 are used
	encoded  bool // captures are of text that is percent-encoded still
	jump     *jumpTo
	err      error // of something within a template, which is read to its end nevertheless
}

// waits notes that the rule may ask for what takes its time.
func (c *compiler) waits() { c.program.waits[c.given.Stage] = true }

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *compiler) note(format string, args ...any) {
	c.program.notes = append(c.program.notes, Note{*c.given, fmt.Sprintf(format, args...)})
}

var errSyntax = errors.New("invalid route syntax")

func (c *compiler) rule() (*rule, error) {
	u := &rule{given: *c.given}
	value := c.given.Value
	if strings.ContainsRune(value, 0) {
		return nil, errSyntax
	}
	if c.given.Option == "check-cache" {
		c.checkCache(u, value)
		return u, nil
	}
	if c.given.Option == "route-label" {
		u.kind, u.label, u.description = labelRule, value, "label: "+value
		return u, nil
	}
	command := value
	if c.given.Option != "route-run" {
		subject, rest, found := strings.Cut(value, " ")
		if !found {
			return nil, fmt.Errorf("%w: a blank separates what is looked at from the action", errSyntax)
		}
		command = rest
		if err := c.subject(u, subject); err != nil {
			return nil, err
		}
	}
	name, argument, found := strings.Cut(command, ":")
	if !found {
		return nil, fmt.Errorf("%w: an action is NAME:ARGUMENT, even without an argument", errSyntax)
	}
	if err := c.action(u, name, argument); err != nil {
		return nil, err
	}
	if c.err != nil {
		return nil, c.err
	}
	if len(c.program.names.names) >= 1<<16-1 {
		return nil, errors.New("rules look at too many variables")
	}
	u.captures, u.jump = c.captures, c.jump
	u.description += "action: " + name + ":" + argument
	return u, nil
}

// subject reads what a rule looks at.
func (c *compiler) subject(u *rule, text string) error {
	switch option := c.given.Option; option {
	case "route-if", "route-if-not":
		u.kind, u.negated = conditionRule, option == "route-if-not"
		return c.condition(u, text)
	case "route-status":
		if c.given.Stage == StageRequest {
			return errors.New("there is no status before the application has answered: use error-route-status or response-route-status")
		}
		u.kind = statusRule
		u.description = fmt.Sprintf("subject: %s func: %[1]s ", text)
		if !isInt(text) {
			u.status = -1
			c.note("%q is no status, and never matches: a status is compared as a number, not by an expression", text)
			return nil
		}
		u.status = int(leadingInt([]byte(text)))
		return nil
	default:
		names, known := subjects[option]
		if !known {
			return fmt.Errorf("there is no option %q", c.given.Name())
		}
		pattern, err := pcre.Compile(text)
		if err != nil {
			return err
		}
		u.kind, u.pattern, u.subject = patternRule, pattern, c.program.names.add(names[0])
		u.description = fmt.Sprintf("subject: %s regexp: %s ", names[1], text)
		c.encoded = isEncoded(names[0])
		return nil
	}
}

// action reads what a rule does.
func (c *compiler) action(u *rule, name, argument string) error {
	build, known := actions[name]
	if !known {
		if instead, other := otherActions[name]; other {
			return fmt.Errorf("the action %q is not supported: %s", name, instead)
		}
		return fmt.Errorf("missing router for: %q", name)
	}
	act, err := build(c, argument)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	u.action = act
	return nil
}
