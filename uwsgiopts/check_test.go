package uwsgiopts

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// check parses with --check and returns the problems as text.
func check(t *testing.T, files map[string]string, args ...string) (*Config, []string) {
	t.Helper()
	cfg, err := parseAs(t, "envoxyd", files, append(args, "--check")...)
	if err != nil {
		t.Fatalf("with --check: %v", err)
	}
	var problems []string
	for _, problem := range cfg.Problems {
		var refused *ExitError
		if !errors.As(problem, &refused) {
			t.Errorf("%v is a %T", problem, problem)
		}
		problems = append(problems, problem.Error())
	}
	return cfg, problems
}

func TestCheckCollectsWhatIsWrong(t *testing.T) {
	files := map[string]string{
		"site.ini": "[uwsgi]\nstrict = true\nvaccum = true\nuid = nobody-of-this-name\ninclude = none.ini\nprocesses = 20000\n" +
			"text = @(no-such-file)\nset-ph = module=x\nmodule = shop\nchmod-socket = 999\n",
		"plain.ini": "[uwsgi]\nprocesses = 2\n",
	}
	cfg, got := check(t, files, "--ini", "site.ini", "--ini", "plain.ini")
	for _, want := range []string{
		"site.ini:3: [strict-mode] unknown config directive: vaccum", "site.ini:4: option \"uid\"", "site.ini:5: ", "site.ini:8: ", "site.ini:10: ",
	} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("%q is missing in\n%s", want, strings.Join(got, "\n"))
		}
	}
	if cfg.Processes != 2 || len(cfg.Modules) != 1 {
		t.Errorf("reading has not gone on: %d processes, modules %q", cfg.Processes, cfg.Modules)
	}
}

func TestCheckIsFoundWhereItIsAnOption(t *testing.T) {
	tests := []struct {
		args []string
		want bool
	}{
		{[]string{"--check"}, true},
		{[]string{"--master", "-p", "2", "--check"}, true},
		{[]string{"-Mp2", "--check"}, true},
		{[]string{"--pyargv", "--check"}, false},
		{[]string{"-p", "--check"}, false},
		{[]string{"-Mp", "--check"}, false},
		{[]string{"--", "--check"}, false},
		{[]string{"--pyargv"}, false},
		{nil, false},
	}
	for _, tt := range tests {
		p, err := newParser(nil, ParseOptions{Dir: "/"})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.asksCheck(tt.args); got != tt.want {
			t.Errorf("%q: %v", tt.args, got)
		}
	}
}

func TestWithoutCheckTheFirstErrorEndsTheReading(t *testing.T) {
	cfg, err := parseAs(t, "envoxyd", map[string]string{"a.ini": "[uwsgi]\nuid = nobody-of-this-name\nchmod-socket = 999\n"}, "--ini", "a.ini")
	if err == nil || len(cfg.Problems) != 0 || !strings.HasPrefix(err.Error(), "a.ini:2: ") {
		t.Errorf("%v, %v", err, cfg.Problems)
	}
}

func TestOriginOf(t *testing.T) {
	cfg, err := parseAs(t, "envoxyd", map[string]string{"a.ini": "[uwsgi]\nworkers = 2\npp = /a\npythonpath = /b\n"}, "--ini", "a.ini")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ option, value, want string }{
		{"processes", "", "a.ini:2"}, {"pythonpath", "/a", "a.ini:3"}, {"pythonpath", "", "a.ini:4"}, {"pythonpath", "/c", ""}, {"uid", "", ""},
	} {
		if got := cfg.OriginOf(tt.option, tt.value).String(); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.option, tt.value, got, tt.want)
		}
	}
}
