package uwsgiopts

import (
	"fmt"
	"strings"
)

// guards are routing actions that protect something: a start that skips them would be open.
var guards = []string{"basicauth", "ba", "ldapauth", "radius", "access", "break", "return", "spnego"}

// refuseUnsafe refuses a setting that has no effect yet and whose absence would let
// clients do what the setting forbids.
func refuseUnsafe(e *entry) error {
	if !strings.Contains(e.Name, "route") {
		return nil
	}
	for word := range strings.FieldsSeq(e.Value) {
		action, _, _ := strings.Cut(word, ":")
		for _, guard := range guards {
			if action == guard && strings.Contains(word, ":") {
				return fmt.Errorf("option %q: routing rules have no effect yet, and without %s: the service would be open", e.Name, guard)
			}
		}
	}
	return nil
}
