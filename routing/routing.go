// Package routing is uWSGI's internal routing: rules that look at a request before the application does, and at its
// response, and change, answer or redirect it. Rules are compiled once; a Program then runs over the uwsgi variable
// block of each request. It opens no sockets and starts no goroutines: what needs the rest of the server is asked of
// an Outside, or is in the Verdict for the caller to do.
//
// What rules mean is uWSGI's documentation ("uWSGI internal routing") and what uWSGI 2.0 does; docs/routing.md tells
// where this differs.
package routing

import (
	"fmt"

	"envoxyd/internal/routespec"
)

// Rule is a rule as it is written.
type Rule = routespec.Rule

// Stage is the moment at which a table of rules runs.
type Stage = routespec.Stage

// Stages of a request.
const (
	StageRequest  = routespec.Request
	StageError    = routespec.Error
	StageResponse = routespec.Response
	StageFinal    = routespec.Final
)

// Program is compiled rules. It is never changed, and may be run for many requests at once.
type Program struct {
	stages [routespec.Stages][]rule
	names  nameTable // of the variables that rules look at
	caches []string
	waits  [routespec.Stages]bool
	notes  []Note
}

// Note is something about a rule that does not stop the start, and that its author should know.
type Note struct {
	Rule Rule
	Text string
}

// String returns the text with the option, the rule, and where it was written.
func (n Note) String() string {
	text := fmt.Sprintf("%s = %s: %s", n.Rule.Name(), n.Rule.Value, n.Text)
	if n.Rule.Origin != "" {
		text += " (" + n.Rule.Origin + ")"
	}
	return text
}

// Compile reads rules. They are in the order in which they were given; stages do not mix. An error is about the first
// rule that is wrong. Compile reads no files and asks nobody.
func Compile(rules []Rule) (*Program, error) {
	p, wrong := CompileAll(rules)
	if len(wrong) > 0 {
		return nil, wrong[0]
	}
	return p, nil
}

// CompileAll is Compile that tells of every rule that is wrong. The program is complete only if none is.
func CompileAll(rules []Rule) (p *Program, wrong []*RuleError) {
	p = &Program{}
	for i := range rules {
		given := &rules[i]
		if given.Stage >= routespec.Stages {
			wrong = append(wrong, &RuleError{*given, fmt.Errorf("there is no %v", given.Stage)})
			continue
		}
		c := &compiler{program: p, given: given}
		r, err := c.rule()
		if err != nil {
			wrong = append(wrong, &RuleError{*given, err})
			continue
		}
		p.stages[given.Stage] = append(p.stages[given.Stage], *r)
	}
	return p, append(wrong, p.linkJumps()...)
}

// RuleError is a rule that cannot be compiled.
type RuleError struct {
	Rule Rule
	Err  error
}

// Error names the option, the rule and the reason, as uWSGI begins the line.
func (e *RuleError) Error() string {
	text := fmt.Sprintf("unable to register route %q (%s): %v", e.Rule.Value, e.Rule.Name(), e.Err)
	if e.Rule.Origin != "" {
		text = e.Rule.Origin + ": " + text
	}
	return text
}

// Unwrap returns the reason.
func (e *RuleError) Unwrap() error { return e.Err }

// Has tells whether a stage has rules: the caller need not make a Request for one that has none.
func (p *Program) Has(stage Stage) bool { return p != nil && len(p.stages[stage]) > 0 }

// Waits tells whether rules of a stage may ask for what takes its time: functions of the application or of another server,
// caches of another instance, and the name of the process.
func (p *Program) Waits(stage Stage) bool { return p != nil && p.waits[stage] }

// Caches returns the names of the caches that rules use, so that a start can tell which are missing; "" is the first one.
func (p *Program) Caches() []string { return p.caches }

// Notes returns what is to be said of rules that are taken nevertheless.
func (p *Program) Notes() []Note { return p.notes }

// Describe returns the lines about rules that uWSGI logs at a start.
func (p *Program) Describe() (lines []string) {
	for stage, rules := range p.stages {
		if len(rules) == 0 {
			continue
		}
		table := "internal routing table"
		if name := Stage(stage).String(); name != "" {
			table = "internal " + name + " routing table"
		}
		lines = append(lines, "*** dumping "+table+" ***")
		for i := range rules {
			lines = append(lines, fmt.Sprintf("[rule: %d] %s", i, rules[i].description))
		}
		lines = append(lines, "*** end of the "+table+" ***")
	}
	return lines
}

// Run runs the rules of a stage over a request. The request is the caller's; it keeps what the rules of all stages
// have done to it until its Reset.
func (p *Program) Run(stage Stage, r *Request) Verdict {
	if r.program != p {
		r.attach(p)
	}
	r.verdict = Verdict{}
	rules := p.stages[stage]
	for at := 0; at < len(rules); at++ {
		rule := &rules[at]
		if !rule.matches(r) {
			continue
		}
		r.at = at
		switch rule.action(r) {
		case next:
		case jump:
			at = r.target - 1 // the loop adds one
		case proceed:
			return r.finished(Verdict{Kind: Continue})
		case end:
			return r.finished(r.verdict)
		}
	}
	return r.finished(Verdict{Kind: Next})
}
