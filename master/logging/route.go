package logging

import (
	"slices"
	"time"

	"envoxyd/internal/pcre"
)

var newline = []byte{'\n'}

// rules say which loggers a record goes to. Loggers are numbers here, so that rules
// can be made before anything is opened.
type rules struct {
	drains, filters []*pcre.Pattern
	routes          []route
	unnamed         []int // take what no route takes
}

type route struct {
	pattern *pcre.Pattern
	logger  int
}

// loggers appends the numbers of those that get the record. Nobody does if a drain
// matches, or if there are filters and none does. Every route that matches counts.
func (r *rules) loggers(to []int, record []byte) []int {
	matches := func(p *pcre.Pattern) bool { return p.Match(record) }
	if slices.ContainsFunc(r.drains, matches) {
		return to
	}
	if len(r.filters) > 0 && !slices.ContainsFunc(r.filters, matches) {
		return to
	}
	taken := false
	for _, one := range r.routes {
		if one.pattern.Match(record) {
			to, taken = append(to, one.logger), true
		}
	}
	if taken {
		return to
	}
	return append(to, r.unnamed...)
}

// alarmRule raises alarms for records that match.
type alarmRule struct {
	pattern *pcre.Pattern
	alarms  []string
	not     bool
}

// raised calls raise for each alarm that a record sets off. A rule that says not ends
// the search.
func raised(rules []alarmRule, record []byte, raise func(name string)) {
	for _, r := range rules {
		if !r.pattern.Match(record) {
			continue
		}
		if r.not {
			return
		}
		for _, name := range r.alarms {
			raise(name)
		}
	}
}

// encode applies those of the encoders that are for the logger of that name.
func encode(encoders []encoder, logger string, record []byte, now time.Time) []byte {
	for _, e := range encoders {
		if e.logger == "" || e.logger == logger {
			record = e.encode(nil, record, now)
		}
	}
	return record
}
