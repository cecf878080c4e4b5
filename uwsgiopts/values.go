package uwsgiopts

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// given is one value on its way into the Config.
type given struct {
	name   string
	text   string
	flag   bool // given on the command line without a value
	origin Origin
	notice func(format string, args ...any)
}

// on reads a flag as uWSGI does: whatever is not a plain no is a yes.
func (g given) on() bool {
	if g.flag {
		return true
	}
	switch strings.ToLower(g.text) {
	case "false", "off", "no", "0":
		return false
	}
	return true
}

// integer reads the leading digits, at most limit; the rest of the text is only noted.
func (g given) integer(limit int64) (int64, error) {
	if g.flag {
		return 1, nil
	}
	n, rest, err := leadingInt(g.text)
	switch {
	case err != nil || n > limit:
		return 0, fmt.Errorf("option %q: %q is too large", g.name, g.text)
	case n < 0:
		return 0, fmt.Errorf("invalid value %q for option %q: must not be negative", g.text, g.name)
	}
	g.noteRest(rest, n)
	return n, nil
}

// signed is integer for options that may be negative.
func (g given) signed() (int64, error) {
	if g.flag {
		return 1, nil
	}
	n, rest, err := leadingInt(g.text)
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		return 0, fmt.Errorf("option %q: %q is too large", g.name, g.text)
	}
	g.noteRest(rest, n)
	return n, nil
}

// bytes reads a size. uWSGI would read 32k as 32 bytes, which nobody means.
func (g given) bytes() (int64, error) {
	digits := strings.TrimSpace(g.text)
	if len(digits) > 1 {
		unit := map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[digits[len(digits)-1]|0x20]
		n, err := strconv.ParseInt(digits[:len(digits)-1], 10, 64)
		if unit > 0 && err == nil && n >= 0 {
			if n > math.MaxInt64/unit {
				return 0, fmt.Errorf("option %q: %q is too large", g.name, g.text)
			}
			g.notice("option %q: %q is read as %d bytes", g.name, g.text, n*unit)
			return n * unit, nil
		}
	}
	return g.integer(math.MaxInt64)
}

// megabytes reads a number of MiB, with decimals, and returns bytes.
func (g given) megabytes() (int64, error) {
	text := strings.TrimLeft(g.text, " \t")
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	f, err := strconv.ParseFloat(text[:end], 64)
	if strings.HasPrefix(text, "-") {
		return 0, fmt.Errorf("invalid value %q for option %q: must not be negative", g.text, g.name)
	}
	if err != nil {
		f = 0
	}
	if f > math.MaxInt64>>21 {
		return 0, fmt.Errorf("option %q: %q is too large", g.name, g.text)
	}
	if rest := strings.TrimSpace(text[end:]); rest != "" || err != nil {
		g.notice("[WARNING] non-numeric value %q for option %q - using %s !", g.text, g.name, strconv.FormatFloat(f, 'f', -1, 64))
	}
	return int64(f * (1 << 20)), nil
}

// noteRest tells that a number was followed by something else.
func (g given) noteRest(rest string, n int64) {
	if strings.TrimSpace(rest) != "" {
		g.notice("[WARNING] non-numeric value %q for option %q - using %d !", g.text, g.name, n)
	}
}

// leadingInt reads blanks, a sign and digits as strtol does and returns what follows.
func leadingInt(s string) (n int64, rest string, err error) {
	start := strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if end < len(start) && (start[0] == '+' || start[0] == '-') {
		end++
	}
	digits := end
	for end < len(start) && start[end] >= '0' && start[end] <= '9' {
		end++
	}
	if end == digits {
		return 0, s, nil
	}
	n, err = strconv.ParseInt(start[:end], 10, 64)
	return n, start[end:], err
}

// check refuses what the kind cannot be, for options without a setter.
func (g given) check(k Kind) error {
	var err error
	switch k {
	case Int, Int16:
		_, err = g.integer(math.MaxInt32)
	case SignedInt:
		_, err = g.signed()
	case Wide, Bytes:
		_, err = g.integer(math.MaxInt64)
	case Mapping:
		if !strings.Contains(g.text, "=") {
			err = fmt.Errorf("option %q: %q is not KEY=VALUE", g.name, g.text)
		}
	case PatternMapping:
		if !strings.ContainsAny(g.text, " \t") {
			err = fmt.Errorf("option %q: %q is not PATTERN VALUE", g.name, g.text)
		}
	case LoggerText:
		if kind := ParseLogger(g.text).Kind; !slices.Contains(LoggerKinds, kind) {
			err = fmt.Errorf("option %q: there is no logger %q; there are %s", g.name, kind, strings.Join(LoggerKinds, ", "))
		}
	}
	return err
}
