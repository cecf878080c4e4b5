package uwsgiopts

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is found into the golden files")

// A golden file has an "args:" line, perhaps "env:" lines, the files as "-- NAME --" and
// their text, and at its end "-- want --" with all pairs, or with the error.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			given, want, ok := strings.Cut(string(text), "-- want --\n")
			if !ok {
				t.Fatal(`there is no "-- want --"`)
			}
			got := runGolden(t, given)
			if *update {
				if err := os.WriteFile(name, []byte(given+"-- want --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// runGolden parses what a golden file gives and returns the pairs or the error, with the
// directory and the host's name taken out.
func runGolden(t *testing.T, given string) string {
	t.Helper()
	head, rest, _ := strings.Cut(given, "-- ")
	var args, environ []string
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "args: "); ok {
			args = strings.Fields(v)
		}
		if v, ok := strings.CutPrefix(line, "env: "); ok {
			environ = append(environ, v)
		}
	}
	files := map[string]string{}
	for part := range strings.SplitSeq(rest, "\n-- ") {
		if name, text, ok := strings.Cut(part, " --\n"); ok {
			files[name] = strings.ReplaceAll(strings.TrimSuffix(text, "\n")+"\n", "\\r\n", "\r\n")
		}
	}
	cfg, out, err := parseIn(t, files, environ, args...)
	var b strings.Builder
	for _, pair := range cfg.Pairs {
		b.WriteString(pair.Name + " = " + pair.Value + "\n")
	}
	if out != "" {
		b.WriteString("output: " + strings.ReplaceAll(out, "\n", "\noutput: ") + "\n")
	}
	if err != nil {
		b.WriteString("error: " + err.Error() + "\n")
	}
	return strings.ReplaceAll(b.String(), cfg.StartDir, "DIR")
}
