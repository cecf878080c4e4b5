package types

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// Python's parameters.py and rows.py name types too: by number, and by what is made of them.

func python(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../python/envoxy/postgresql/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPythonsTypesAreThese(t *testing.T) {
	text := python(t, "parameters.py")
	numbers := map[string]uint32{"BYTEA": pgtype.ByteaOID, "TEXT": pgtype.TextOID, "JSONB": pgtype.JSONBOID, "INET": pgtype.InetOID,
		"CIDR": pgtype.CIDROID, "NUMERIC": pgtype.NumericOID}
	var names, are []string
	for _, name := range []string{"BYTEA", "TEXT", "JSONB", "INET", "CIDR", "NUMERIC"} {
		names, are = append(names, name), append(are, strconv.Itoa(int(numbers[name])))
	}
	if want := "UNKNOWN, " + strings.Join(names, ", ") + " = 0, " + strings.Join(are, ", "); !strings.Contains(text, want) {
		t.Errorf("parameters.py does not have %q", want)
	}
	arrays := regexp.MustCompile(`(?s)\nARRAYS = \{(.*?)\}`).FindStringSubmatch(text)
	if arrays == nil {
		t.Fatal("parameters.py has no ARRAYS")
	}
	pairs := regexp.MustCompile(`(\w+): (\d+)`).FindAllStringSubmatch(arrays[1], -1)
	if len(pairs) < 15 {
		t.Errorf("%d pairs were found in %s", len(pairs), arrays[1])
	}
	for _, pair := range pairs {
		element, named := numbers[pair[1]]
		if !named {
			number, err := strconv.Atoi(pair[1])
			if err != nil {
				t.Fatal(err)
			}
			element = uint32(number)
		}
		array, err := strconv.Atoi(pair[2])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := typeName(uint32(array)), typeName(element)+"[]"; got != want || element == 0 {
			t.Errorf("%s: the array type %d is %s, want %s", pair[0], array, got, want)
		}
	}
}

func TestPythonMakesEveryKind(t *testing.T) {
	table := regexp.MustCompile(`(?s)\nONE = \{(.*?)\n\}`).FindStringSubmatch(python(t, "rows.py"))
	if table == nil {
		t.Fatal("rows.py has no ONE")
	}
	var made []string
	for _, found := range regexp.MustCompile(`(?m)^    "(\w+)": `).FindAllStringSubmatch(table[1], -1) {
		made = append(made, found[1])
	}
	var kinds []string
	for _, codec := range codecs {
		if name := string(codec.kind); name != "" && !slices.Contains(kinds, name) {
			kinds = append(kinds, name)
		}
	}
	slices.Sort(made)
	slices.Sort(kinds)
	if !slices.Equal(made, kinds) {
		t.Errorf("rows.py makes %v, results have %v", made, kinds)
	}
}
