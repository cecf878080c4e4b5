// Package lenient reads values of envoxy.json as people write them: numbers as text, one text for a list of them.
package lenient

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Text is a text that may have been written as a number.
type Text string

// UnmarshalJSON reads "a" and 12.
func (w *Text) UnmarshalJSON(text []byte) error {
	var plain string
	if json.Unmarshal(text, &plain) != nil {
		plain = string(text)
	}
	*w = Text(plain)
	return nil
}

// Toggle is true or false, also where variables and the command line give text.
type Toggle bool

// UnmarshalJSON reads true, "true", 1 and their opposites.
func (t *Toggle) UnmarshalJSON(text []byte) error {
	switch strings.ToLower(strings.Trim(string(text), `"`)) {
	case "true", "1", "yes", "on":
		*t = true
	case "false", "0", "no", "off", "", "null":
		*t = false
	default:
		return fmt.Errorf("%s is neither true nor false", text)
	}
	return nil
}

// Number may be written as text, as it mostly is in envoxy.json.
type Number float64

// UnmarshalJSON reads 5, "5" and "" (nothing).
func (n *Number) UnmarshalJSON(text []byte) error {
	trimmed := strings.TrimSpace(strings.Trim(string(text), `"`))
	if trimmed == "" || trimmed == "null" {
		return nil
	}
	value, err := strconv.ParseFloat(trimmed, 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", text)
	}
	*n = Number(value)
	return nil
}

// Seconds is the number as a duration; one that is not above 0 is otherwise.
func (n Number) Seconds(otherwise time.Duration) time.Duration {
	if n <= 0 {
		return otherwise
	}
	return time.Duration(float64(n) * float64(time.Second))
}

// Texts is one text or a list of them.
type Texts []string

// UnmarshalJSON reads "a" and ["a", "b"].
func (t *Texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = Texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// Servers reads a section with an object for each server; what is wrong with one does not turn off the rest.
func Servers[T any](sections map[string]json.RawMessage, name string, problems *error) map[string]T {
	found := map[string]T{}
	var servers map[string]json.RawMessage
	if text, there := sections[name]; there {
		if err := json.Unmarshal(text, &servers); err != nil {
			*problems = errors.Join(*problems, fmt.Errorf("envoxy.json: %s: %w", name, err))
		}
	}
	for key, text := range servers {
		var server T
		if len(text) > 0 && text[0] != '{' { // "default" names a server
			continue
		}
		if err := json.Unmarshal(text, &server); err != nil {
			*problems = errors.Join(*problems, fmt.Errorf("envoxy.json: %s.%s: %w", name, key, err))
			continue
		}
		found[key] = server
	}
	return found
}
