package uwsgiopts

import (
	"fmt"
	"strings"
	"testing"
)

// The second reader is for what is no YAML, here because of the colon within a value.
func TestYamlWithBlanksBeforeTheColon(t *testing.T) {
	const want = "[{master true 2} {processes 3 3} {threads 2 4} {env A=1 6} {env B=2 7}]"
	text := "uwsgi :  # the section\n  master : true\n  processes\t: 3\n  \"threads\" : 2\n  env : # a list\n    - A=1\n    - B=2\n"
	for _, text := range []string{text, text + "  print : a: b\n", strings.Replace(text, "uwsgi :", `"uwsgi" :`, 1), strings.ReplaceAll(text, " :", ":")} {
		lines, err := parseYaml(text, "uwsgi")
		if err == nil && strings.Contains(text, "print") {
			last := len(lines) - 1
			if last < 0 || lines[last] != (line{"print", "a: b", 8}) {
				t.Fatalf("%v", lines)
			}
			lines = lines[:last]
		}
		if got := fmt.Sprint(lines); err != nil || got != want {
			t.Errorf("%s\n%s, %v, want %s", text, got, err, want)
		}
	}
}
