package modules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What can be wrong with a configuration. A missing or unreadable file is the
// operating system's error (errors.Is(err, fs.ErrNotExist)).
var (
	ErrDirectory          = errors.New("is a directory, not a JSON file")
	ErrNotJSON            = errors.New("is not JSON")
	ErrType               = errors.New("wrong type")
	ErrValue              = errors.New("cannot be understood")
	ErrModulesAndPackages = errors.New("modules and packages cannot both be used: move the views of one into the other")
)

// Error says what is wrong and where it was written. It never quotes a value, which may be a secret.
type Error struct {
	File   string
	Key    string // dotted, "" when the trouble is the file itself
	Line   int    // from 1; 0 when the value does not come from the file
	Column int
	Origin string // the variable or the command line that set the value; "": the file
	Err    error
}

// indexes are the numbers of items in dotted keys.
var indexes = regexp.MustCompile(`\.([0-9]+)\b`)

// Error names file, line, column and key, then the reason.
func (e *Error) Error() string {
	var out strings.Builder
	out.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&out, ":%d:%d", e.Line, e.Column)
	}
	if e.Origin != "" {
		fmt.Fprintf(&out, ": %s", e.Origin)
	}
	if e.Key != "" {
		fmt.Fprintf(&out, ": %s", indexes.ReplaceAllString(e.Key, "[$1]"))
	}
	fmt.Fprintf(&out, ": %v", e.Err)
	return out.String()
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// ExitStatus is what a server exits with when Load fails: 246, envoxy's exit(-10); 0 for nil.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	return 246
}
