// Package logtext makes text that others have chosen safe to stand in a line of the log:
// a line break would let a client write lines of its own, an escape sequence act on the
// terminal of whoever reads them.
package logtext

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// TimeLayout is the form of times in records of JSON: RFC 3339 with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z07:00"

// Safe is Append for a text alone.
func Safe(text string) string { return string(Append(nil, text)) }

const hex = "0123456789abcdef"

// Append appends text to line with what is not printable as \xNN, a byte each. Tabs stay.
func Append[T ~string | ~[]byte](line []byte, text T) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
			if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
				line = append(line, text[i:i+size]...)
				i += size
				continue
			}
		}
		if c < ' ' && c != '\t' || c >= 0x7f {
			line = append(line, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			line = append(line, c)
		}
		i++
	}
	return line
}

// plainJSON are the bytes that stand for themselves.
var plainJSON = func() (plain [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// AppendJSON appends text as the inside of a JSON string, with what is not printable as \uNNNN; what is no UTF-8
// becomes U+FFFD.
func AppendJSON[T ~string | ~[]byte](line []byte, text T) []byte {
	for i := 0; i < len(text); {
		start := i
		for i < len(text) && plainJSON[text[i]] {
			i++
		}
		if start < i {
			line = append(line, text[start:i]...)
			continue
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		}
		i += size
		switch {
		case r == '"' || r == '\\':
			line = append(line, '\\', byte(r))
		case r == '\n':
			line = append(line, '\\', 'n')
		case r == '\r':
			line = append(line, '\\', 'r')
		case r == '\t':
			line = append(line, '\\', 't')
		case unicode.IsPrint(r):
			line = utf8.AppendRune(line, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			line = appendUnit(appendUnit(line, high), low)
		default:
			line = appendUnit(line, r)
		}
	}
	return line
}

func appendUnit(line []byte, unit rune) []byte {
	return append(line, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}
