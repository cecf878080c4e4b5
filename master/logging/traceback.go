package logging

import (
	"bytes"
	"slices"
	"time"
)

// A Python traceback that a process writes line by line is one record, up to this size.
const tracebackSize = 256 << 10

var (
	tracebackStart = []byte("Traceback (most recent call last):")
	tracebackLinks = [][]byte{[]byte("During handling of the above exception"), []byte("The above exception was the direct cause")}
)

// traceback is one that may go on.
type traceback struct {
	text   []byte
	ended  bool // the line of the exception was there
	linked bool // and a line that leads to another traceback
	since  time.Time
}

// holdsTraceback tells whether one begins in a text.
func holdsTraceback(text []byte) bool {
	return bytes.HasPrefix(text, tracebackStart) || bytes.Contains(text, append([]byte{'\n'}, tracebackStart...))
}

// links tells whether a line leads from one traceback to the next.
func links(line []byte) bool {
	return slices.ContainsFunc(tracebackLinks, func(link []byte) bool { return bytes.HasPrefix(line, link) })
}

// takes tells whether a text that follows belongs to the traceback.
func (t *traceback) takes(text []byte) bool {
	line, _, _ := bytes.Cut(text, newline)
	switch {
	case len(t.text)+len(text) > tracebackSize:
		return false
	case bytes.HasPrefix(line, tracebackStart):
		return t.linked
	case len(line) == 0 || line[0] == ' ' || line[0] == '\t':
		return true
	}
	return !t.ended || links(line)
}

// add appends a text.
func (t *traceback) add(text []byte, now time.Time) {
	t.text, t.since = append(t.text, text...), now
	for line := range bytes.Lines(text) {
		line = withoutEnd(line)
		switch {
		case bytes.HasPrefix(line, tracebackStart):
			t.ended, t.linked = false, false
		case links(line):
			t.linked = true
		case len(line) > 0 && line[0] != ' ' && line[0] != '\t':
			t.ended = true
		}
	}
}
