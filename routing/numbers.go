package routing

import (
	"bytes"
	"math"
)

// leadingInt reads blanks, a sign and digits as strtol does: what follows does not matter, no digits are 0, and what is
// too large is the largest.
func leadingInt(text []byte) int64 {
	text = bytes.TrimLeft(text, " \t\n\v\f\r")
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			n = math.MaxInt64
			break
		}
		n = n*10 + digit
	}
	if negative {
		return -n
	}
	return n
}

// isInt tells whether text is digits, with a sign perhaps.
func isInt(text string) bool {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != "" && len(text) < 19
}

func saturatingAdd(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
