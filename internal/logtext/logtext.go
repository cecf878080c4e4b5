// Package logtext makes text that others have chosen safe to stand in a line of the log:
// a line break would let a client write lines of its own, an escape sequence act on the
// terminal of whoever reads them.
package logtext

import (
	"unicode"
	"unicode/utf8"
)

// Safe is Append for a text alone.
func Safe(text string) string { return string(Append(nil, text)) }

// Append appends text to line with what is not printable as \xNN, a byte each. Tabs stay.
func Append[T ~string | ~[]byte](line []byte, text T) []byte {
	const hex = "0123456789abcdef"
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
