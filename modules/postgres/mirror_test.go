package postgres

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Python's half of the bridge has some of the same numbers and names: this is where they are compared.

func python(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../python/envoxy/postgresql/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPythonsOperationsAreOurs(t *testing.T) {
	names := "OPEN, QUERY, BEGIN, COMMIT, ROLLBACK, CLOSE"
	numbers := []int{opOpen, opQuery, opBegin, opCommit, opRollback, opClose}
	for i, number := range numbers {
		if number != i+1 {
			t.Errorf("operation %d is %d: Python counts them", i+1, number)
		}
	}
	if want := fmt.Sprintf("\n%s = range(1, %d)\n", names, len(numbers)+1); !strings.Contains(python(t, "native.py"), want) {
		t.Errorf("native.py does not have %q", want)
	}
}

func TestPythonReadsRefusalsAsTheyAreWritten(t *testing.T) {
	found := regexp.MustCompile(`(?m)^FIELDS = \((.*)\)$`).FindStringSubmatch(python(t, "rows.py"))
	if want := `"sqlstate", "detail", "hint", "schema", "table", "column", "constraint"`; found == nil || found[1] != want {
		t.Errorf("rows.py has %q, refusal writes the message, then %s, then lost", found, want)
	}
}
