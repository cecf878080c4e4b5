package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	adjacent    = regexp.MustCompile(`"\s*\n\s*[bfr]*"`)                // texts that Python and C join
	interpolate = regexp.MustCompile(`\{[^{}\n]*\}`)                    // of Python's f-strings
	quoted      = regexp.MustCompile(`"[^"]*"|'[^' ]*'|…`)              // what a message quotes differs each time
	joint       = regexp.MustCompile(`[:;?,] | \(|\*\*\*`)              // between messages that wrap each other
	placeholder = regexp.MustCompile(`\b[A-Z]+\b|\d+|\b[a-z]+\.json\b`) // NAME, N, 9, envoxy.json
)

// printed is all text that the program may print, with a NUL for what differs each time.
func printed(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, text := range readSource(t).literals {
		all.WriteString(verb.ReplaceAllString(strings.ReplaceAll(text, "%%", "\x01"), "\x00"))
		all.WriteString("\n")
	}
	for _, root := range []string{"worker", "modules/python"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				if err == nil && entry.Name() == "tests" {
					return filepath.SkipDir
				}
				return err
			}
			if extension := filepath.Ext(path); extension != ".py" && extension != ".c" || strings.HasSuffix(path, "_test.c") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			one := adjacent.ReplaceAllString(string(text), "")
			all.WriteString(verb.ReplaceAllString(interpolate.ReplaceAllString(one, "\x00"), "\x00"))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(all.String(), "\x01", "%"), `\"`, `"`)
}

// prints: a format with these parts has all words of the row, but for placeholders and what is quoted.
func prints(parts []string, row string) bool {
	if len(parts) == 0 || !says(row, parts) {
		return false
	}
	for _, part := range parts {
		row = strings.Replace(row, part, "\x00", 1)
	}
	return letters(placeholder.ReplaceAllString(quoted.ReplaceAllString(row, ""), "")) < 3
}

// unknown returns the part of a row that the program does not print; "": it prints all.
func unknown(row, printed string, formats [][]string, system map[string]string, used map[string]bool) string {
	if slices.ContainsFunc(formats, func(parts []string) bool { return prints(parts, row) }) {
		return ""
	}
	found := 0
	for _, piece := range quoted.Split(row, -1) {
		piece = strings.Trim(piece, " ():;,.")
		if letters(piece) >= 3 && strings.Contains(printed, piece) {
			found += letters(piece)
			continue
		}
		for _, part := range joint.Split(piece, -1) {
			for text := range system {
				if strings.Contains(part, text) {
					used[text] = true
					part = strings.ReplaceAll(part, text, "")
					found += letters(text)
				}
			}
			for _, part := range placeholder.Split(part, -1) {
				part = strings.Trim(part, " ():;,./-=")
				if letters(part) < 3 {
					continue
				}
				if !strings.Contains(printed, part) {
					return part
				}
				found += letters(part)
			}
		}
	}
	if found < 8 {
		return row // too little to tell whether it is printed
	}
	return ""
}

// TestRowsAreStillPrinted: a row whose message has gone from the source misleads.
func TestRowsAreStillPrinted(t *testing.T) {
	rows, allowed, text := readRows(t), readExceptions(t), printed(t)
	used := map[string]bool{}
	var formats [][]string
	source := readSource(t)
	for _, literal := range source.literals {
		formats = append(formats, fixed(literal))
	}
	for _, m := range source.messages {
		formats = append(formats, fixed(m.text))
	}
	for _, r := range rows {
		if part := unknown(r.text, text, formats, allowed.system, used); part != "" {
			t.Errorf("%s: nothing prints %q of %q; if another program does, say so in %s", r.place, part, r.text, withoutRows)
		}
	}
	for one, reason := range allowed.system {
		if !used[one] {
			t.Errorf("%s: no row needs %q any more (%s)", withoutRows, one, reason)
		}
	}
	if part := unknown("the cat has eaten the configuration", text, formats, nil, used); part == "" {
		t.Error("a message that nothing prints is taken for one of ours")
	}
}
