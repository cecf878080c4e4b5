package staticspec

import (
	"mime"
	"os"
	"path"
	"strings"
)

// systemTypes is where the system keeps its MIME types.
const systemTypes = "/etc/mime.types"

// Types is a table from suffix (without its dot) to MIME type.
type Types struct {
	Files    []TypeFile
	bySuffix map[string]string
	builtIn  bool // the system has no table: Go's small one is better than none
}

// TypeFile is one file of MIME types and the number of entries that it gave; -1: it could not be read.
type TypeFile struct {
	Name    string
	Entries int
}

// ReadTypes reads files of MIME types: those named, or the system's.
func ReadTypes(names []string) *Types {
	t := &Types{bySuffix: map[string]string{}}
	given := len(names) > 0
	if !given {
		names = []string{systemTypes}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Files = append(t.Files, TypeFile{name, -1})
			t.builtIn = !given
			continue
		}
		t.Files = append(t.Files, TypeFile{name, t.add(string(text))})
	}
	return t
}

// add reads lines of a type and its suffixes; the first type of a suffix counts.
func (t *Types) add(text string) (entries int) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for i := 1; i < len(words); i++ {
			entries++
			if _, known := t.bySuffix[words[i]]; !known {
				t.bySuffix[words[i]] = words[0]
			}
		}
	}
	return entries
}

// Of returns the type for a file's name; "" when there is none.
func (t *Types) Of(name string) string {
	suffix := strings.TrimPrefix(path.Ext(name), ".")
	if suffix == "" {
		return ""
	}
	kind, known := t.bySuffix[suffix]
	if !known {
		kind, known = t.bySuffix[strings.ToLower(suffix)]
	}
	if !known && t.builtIn {
		kind = mime.TypeByExtension("." + strings.ToLower(suffix))
	}
	return kind
}
