package routing

import (
	"fmt"
	"slices"
	"strings"
)

// settings are the KEY=VALUE of an action's argument, with commas between them; a backslash keeps a comma, or a
// backslash, in a value.
type settings map[string]string

// settings reads an argument. Other keys than the given ones are refused.
func readSettings(text string, keys ...string) (settings, error) {
	s := settings{}
	for _, item := range splitUnescaped(text) {
		if item == "" {
			continue
		}
		key, value, found := strings.Cut(item, "=")
		if !found {
			return nil, fmt.Errorf("%q is not KEY=VALUE", item)
		}
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("there is no %q; there are: %s", key, strings.Join(keys, ", "))
		}
		s[key] = value
	}
	return s, nil
}

func splitUnescaped(text string) (items []string) {
	item := strings.Builder{}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == ',' || text[i+1] == '\\'):
			i++
			item.WriteByte(text[i])
		case c == ',':
			items = append(items, item.String())
			item.Reset()
		default:
			item.WriteByte(c)
		}
	}
	return append(items, item.String())
}

// need refuses settings without one of the keys.
func (s settings) need(keys ...string) error {
	for _, key := range keys {
		if s[key] == "" {
			return fmt.Errorf("invalid route syntax: you need to specify %s=", key)
		}
	}
	return nil
}

// on reads a flag, as uWSGI does: a value at all is a yes, apart from the usual words for no.
func (s settings) on(keys ...string) bool {
	for _, key := range keys {
		switch value, given := s[key]; strings.ToLower(value) {
		case "", "0", "no", "off", "false":
		default:
			return given
		}
	}
	return false
}

// number reads an integer of this key; it may be left out.
func (s settings) number(key string, otherwise int64) (int64, error) {
	text, given := s[key]
	if !given {
		return otherwise, nil
	}
	if !isInt(text) {
		return 0, fmt.Errorf("%s=%s: a number is needed", key, text)
	}
	return leadingInt([]byte(text)), nil
}
