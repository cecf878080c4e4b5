package uwsgiopts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// parseJSON returns the settings of the object that section names. true is 1, false and
// null are 0, a list repeats its key, objects within are skipped, repeated names all count.
func parseJSON(text, section string) ([]line, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := expectDelim(d, '{'); err != nil {
		return nil, err
	}
	var lines []line
	found := false
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		if name != section || found {
			if err := skipJSON(d); err != nil {
				return nil, err
			}
			continue
		}
		found = true
		if lines, err = jsonObject(d, text); err != nil {
			return nil, err
		}
	}
	if err := expectDelim(d, '}'); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("invalid JSON: there is text after the object")
	}
	if !found {
		return nil, fmt.Errorf("no JSON object %q", section)
	}
	return lines, nil
}

func jsonObject(d *json.Decoder, text string) ([]line, error) {
	if err := expectDelim(d, '{'); err != nil {
		return nil, err
	}
	var lines []line
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		number := 1 + strings.Count(text[:d.InputOffset()], "\n")
		values, err := jsonValues(d, true)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			lines = append(lines, line{key.(string), v, number})
		}
	}
	return lines, expectDelim(d, '}')
}

// jsonValues reads one value: none for an object, several for a list.
func jsonValues(d *json.Decoder, listAllowed bool) ([]string, error) {
	token, err := d.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	switch v := token.(type) {
	case string:
		return []string{v}, nil
	case json.Number:
		return []string{v.String()}, nil
	case bool:
		if v {
			return []string{"1"}, nil
		}
		return []string{"0"}, nil
	case nil:
		return []string{"0"}, nil
	}
	var values []string
	isList := token == json.Delim('[')
	for d.More() {
		if !isList || !listAllowed {
			if err := skipJSON(d); err != nil {
				return nil, err
			}
			continue
		}
		inner, err := jsonValues(d, false)
		if err != nil {
			return nil, err
		}
		values = append(values, inner...)
	}
	_, err = d.Token()
	return values, jsonError(err)
}

// skipJSON reads past one value, or past one name of an object.
func skipJSON(d *json.Decoder) error {
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func expectDelim(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return jsonError(err)
	}
	if token != want {
		return fmt.Errorf("invalid JSON: %v instead of %v", token, want)
	}
	return nil
}

func jsonError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("invalid JSON: it ends too early")
	}
	return fmt.Errorf("invalid JSON: %w", err)
}
