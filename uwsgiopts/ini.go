package uwsgiopts

import "strings"

// line is one setting as a file says it.
type line struct {
	key, value string
	number     int // 1-based
}

const iniBlanks = " \t\r"

// parseIni returns the settings of one section of ini text. Comments are whole lines,
// quotes and backslashes mean nothing, and only the first = counts.
func parseIni(text, section string) []line {
	var lines []line
	inside, number := false, 0
	for raw := range strings.SplitSeq(text, "\n") {
		number++
		s := strings.Trim(raw, iniBlanks)
		switch {
		case s == "" || s[0] == ';' || s[0] == '#':
		case s[0] == '[':
			inside = s == "["+section+"]"
		case inside:
			key, value, _ := strings.Cut(s, "=")
			lines = append(lines, line{strings.Trim(key, iniBlanks), strings.Trim(value, iniBlanks), number})
		}
	}
	return lines
}
