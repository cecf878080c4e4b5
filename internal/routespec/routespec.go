// Package routespec is a rule of the internal routing as it is written: the configuration collects them, the
// master hands them to its workers, and package routing compiles them.
package routespec

import "fmt"

// Stage is the moment of a request at which a rule runs.
type Stage uint8

// Stages, each of which has a table of rules.
const (
	Request  Stage = iota // before the application
	Error                 // whenever a status line is prepared, whatever the status
	Response              // just before the headers are sent
	Final                 // when the response has been sent
	Stages   = iota
)

// String returns the word that options begin with: "", error, response or final.
func (s Stage) String() string {
	if s >= Stages {
		return fmt.Sprintf("stage %d", uint8(s))
	}
	return [Stages]string{"", "error", "response", "final"}[s]
}

// Rule is one option of the route family.
type Rule struct {
	Stage  Stage  `json:"stage"`
	Option string `json:"option"` // without the stage: route, route-host, route-if …
	Value  string `json:"value"`
	Origin string `json:"origin"` // file and line, or "command line", for messages
}

// Name returns the option as it was written.
func (r *Rule) Name() string {
	if r.Stage == Request {
		return r.Option
	}
	return r.Stage.String() + "-" + r.Option
}
