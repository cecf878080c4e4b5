package uwsgiopts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The checked-in list is what uWSGI 2.0 and 2.1 know, and envoxyd's own names.
func TestTableHoldsExactlyTheKnownNames(t *testing.T) {
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	var got []string
	for _, l := range allOptions().names() {
		short := "-"
		if l.option.Short != 0 {
			short = string(l.option.Short)
		}
		got = append(got, fmt.Sprintf("%s\t%s\t%s", l.name, short, l.option.Arg))
	}
	slices.Sort(got)
	slices.Sort(want)
	for _, line := range want {
		if _, found := slices.BinarySearch(got, line); !found {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if _, found := slices.BinarySearch(want, line); !found {
			t.Errorf("not in the list: %s", line)
		}
	}
}

func TestDeclarationsAreComplete(t *testing.T) {
	for _, l := range allOptions().names() {
		o := l.option
		switch {
		case o.Doc == "" || strings.ContainsAny(o.Doc, "\n\t") || strings.HasSuffix(o.Doc, "."):
			t.Errorf("%s: documentation %q is not one line without a full stop", l.name, o.Doc)
		case o.NoOp != "" && o.Unsupported != "":
			t.Errorf("%s is both not needed and refused", l.name)
		case o.NoOp == "" && o.Unsupported == "" && o.setter() == nil && o.run == nil:
			t.Errorf("%s has no effect, and nothing says why", l.name)
		case o.Flags&Dispensable != 0 && o.Unsupported == "":
			t.Errorf("%s is not refused: there is nothing for --allow-missing to let through", l.name)
		case o.Unsupported != "" && (o.setter() != nil || o.run != nil):
			t.Errorf("%s is refused, but has an effect", l.name)
		case o.setter() != nil && o.run != nil:
			t.Errorf("%s has two effects", l.name)
		}
	}
}

// What the documentation says of a value is what becomes of it: for the kinds that refuse anything, and for flags.
func TestValuesAreReadAsTheirKindSays(t *testing.T) {
	for _, l := range allOptions().names() {
		o := l.option
		set := o.setter()
		if set == nil {
			continue
		}
		given := given{name: l.name, notice: func(string, ...any) {}}
		for _, given.text = range []string{"", "-1", "1", "text", "99999999999", "99999999999999999999", "a=b", "a b"} {
			impossible, refused := given.check(o.Kind()), set(defaults(), given)
			if impossible != nil && refused == nil {
				t.Errorf("%s takes %q, though a %s cannot be that: %v", l.name, given.text, o.Kind(), impossible)
			}
			if impossible == nil && refused != nil && o.Kind() == Wide {
				t.Errorf("%s refuses %q, though a %s can be that: %v", l.name, given.text, o.Kind(), refused)
			}
			if refused != nil && !strings.Contains(refused.Error(), l.name) {
				t.Errorf("%s refuses %q without its name: %v", l.name, given.text, refused)
			}
		}
		if o.Arg == NoArg && o.Kind() != Flag && o.Kind() != InverseFlag && o.Kind() != Int {
			t.Errorf("%s takes no value, and yet that is a %s", l.name, o.Kind())
		}
	}
}

func TestDocumentationIsFresh(t *testing.T) {
	page, err := os.ReadFile("../docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, Markdown()) {
		t.Error(`docs/options.md is not what the table says: run "go generate ./uwsgiopts"`)
	}
}

// Whatever an option is given, Parse answers with a Config or with an ExitError.
func TestEveryOptionTakesEveryValueWithoutPanicking(t *testing.T) {
	values := []string{"", "1", "-1", "text", "99999999999999999999", "a=b", "a b", "false", "512", "%(x)"}
	skip := map[string]bool{"resolve": true} // asks name servers
	dir := t.TempDir()
	for _, l := range allOptions().names() {
		if skip[l.name] {
			continue
		}
		for _, value := range values {
			_, err := Parse([]string{"--set", l.name + "=" + value}, nil, ParseOptions{Dir: dir})
			var refused *ExitError
			if err != nil && (!errors.As(err, &refused) || refused.Status == 0) {
				t.Fatalf("%s = %s: %v is no refusal with a status", l.name, value, err)
			}
		}
	}
}

func TestStatusesDecideWhatAnOptionDoes(t *testing.T) {
	tests := []struct {
		name    string
		status  Status
		refused bool
		notices int
	}{
		{"processes", Implemented, false, 0},
		{"thunder-lock", NoOp, false, 0},
		{"rrdtool-freq", Implemented, false, 0},
		{"ksm", NoOp, false, 0},
		{"psgi", Unsupported, true, 0},
		{"call-asap", Unsupported, true, 0},
		{"legion", Unsupported, true, 0},
		{"pivot-root", Unsupported, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status := allOptions().find(tt.name).Status(); status != tt.status {
				t.Fatalf("status is %v, want %v", status, tt.status)
			}
			cfg, err := Parse([]string{"--set", tt.name + "=1", "--set", tt.name + "=1"}, nil, ParseOptions{})
			if (err != nil) != tt.refused {
				t.Fatalf("refused: %v", err)
			}
			if err == nil && len(cfg.Notices) != tt.notices {
				t.Errorf("notices %q, want %d", cfg.Notices, tt.notices)
			}
		})
	}
}
