package uwsgiopts

import (
	"regexp"
	"sync"
)

// compiled returns a regular expression that is compiled when it is first needed: most starts need none.
func compiled(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
