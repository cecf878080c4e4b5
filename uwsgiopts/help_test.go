package uwsgiopts

import (
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHelpListsEveryNameOnALineOfItsOwn(t *testing.T) {
	_, out, err := parseIn(t, nil, nil, "--help")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, "Usage: /usr/bin/uwsgi [options...]\n\nSockets\n    -s|--socket ") {
		t.Errorf("it begins with %.60q", out)
	}
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^    (?:-.\|)?--(\S+) +\S`).FindAllStringSubmatch(out, -1) {
		listed[match[1]] = true
	}
	for _, l := range allOptions().names() {
		if !listed[l.name] {
			t.Errorf("--%s is not listed", l.name)
		}
	}
	for _, line := range []string{`-p\|--workers`, `-s\|--uwsgi-socket`, `-H\|--venv`, `--thunder-lock .*\[not needed: `, `--pivot-root .*\[unsupported: `, `-z\|--socket-timeout .* \(default: 4\)$`, `-b\|--buffer-size .* \(default: 4096\)$`} {
		if !regexp.MustCompile(`(?m)^\s+` + line).MatchString(out) {
			t.Errorf("no line matches %s", line)
		}
	}
}

func TestDumpOptionsPrintsTheNames(t *testing.T) {
	_, out, err := parseIn(t, nil, nil, "--dump-options")
	if names := strings.Fields(out); err != nil || len(names) != len(allOptions().names()) || names[0] != "socket" {
		t.Errorf("%d names, the first is %q, %v", len(names), names[0], err)
	}
}

func TestCompletionScriptsAreValid(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		_, out, err := parseIn(t, nil, nil, "--completion", shell)
		if err != nil || !strings.Contains(out, "wsgi-file") || strings.Contains(out, "php-docroot") {
			t.Errorf("%s: %v, %.60q", shell, err, out)
			continue
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // the shell is not here to judge
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(out)
		if message, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %.300s", shell, err, message)
		}
	}
	for _, args := range [][]string{{"--completion", "csh"}, {"completion", "csh"}, {"completion"}, {"completion", "bash", "zsh"}} {
		if _, _, err := parseIn(t, nil, nil, args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	_, option, _ := parseIn(t, nil, nil, "--completion", "bash")
	if _, command, err := parseIn(t, nil, nil, "completion", "bash"); err != nil || command != option {
		t.Errorf("the command writes something else than the option: %v", err)
	}
}

// helped returns what a command line writes, and the error.
func helped(t *testing.T, width int, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	_, err := Parse(args, nil, ParseOptions{Dir: t.TempDir(), Stdout: &out, Width: width, Args0: "envoxyd"})
	return out.String(), err
}

func TestHelpOnATopic(t *testing.T) {
	for _, tt := range []struct {
		args     string
		sections []string
		options  []string // all of them; nil: several
		refused  string
	}{
		{"--help processes", []string{"Processes and threads"}, []string{"processes", "workers"}, ""},
		{"-h --thunder-lock", nil, nil, ""}, // not a topic: everything, as without
		{"--help thunder-lock", []string{"Processes and threads"}, []string{"thunder-lock"}, ""},
		{"--help static", []string{"Static files and headers"}, nil, ""},
		{"--help routing", []string{"Internal routing"}, nil, ""},
		{"--help buffer_size", []string{"Limits"}, []string{"buffer-size"}, ""},
		{"--help vaccum", nil, nil, `there is no section and no option "vaccum"; did you mean "vacuum"?`},
		{"--usage site.ini", nil, nil, ""}, // a configuration file is none either
		{"options gevent patch", []string{"Request loops and websockets"}, []string{"gevent-monkey-patch", "gevent-early-monkey-patch"}, ""},
		{"options --gevent PATCH early", []string{"Request loops and websockets"}, []string{"gevent-early-monkey-patch"}, ""},
		{"options vaccum", nil, nil, `no option has to do with "vaccum"; did you mean "vacuum"?`},
	} {
		out, err := helped(t, 0, strings.Fields(tt.args)...)
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) || out != "" {
				t.Errorf("%s: %v, %.100q", tt.args, err, out)
			}
			continue
		}
		var sections, options []string
		for line := range strings.Lines(out) {
			if match := regexp.MustCompile(`^    (?:-.\|)?--(\S+) `).FindStringSubmatch(line); match != nil {
				options = append(options, match[1])
			} else if !strings.HasPrefix(line, "Usage") && !strings.Contains(line, "--help SECTION") && line != "\n" {
				sections = append(sections, strings.TrimSpace(line))
			}
		}
		if err != nil || tt.sections == nil && len(sections) != len(Sections()) || tt.sections != nil && !slices.Equal(sections, tt.sections) {
			t.Errorf("%s: %v, sections %q", tt.args, err, sections)
		}
		if tt.options != nil && !slices.Equal(options, tt.options) || len(options) == 0 {
			t.Errorf("%s: options %q", tt.args, options)
		}
	}
}

func TestHelpIsWrappedToTheTerminal(t *testing.T) {
	for _, width := range []int{80, 120} {
		out, err := helped(t, width, "--help")
		if err != nil {
			t.Fatal(err)
		}
		broken := 0
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(line, strings.Repeat(" ", helpColumn+1)) {
				broken++
			}
			if len(line) > width && strings.Contains(strings.TrimSpace(line), " ") && strings.HasPrefix(line, " ") {
				t.Fatalf("%d columns: %q", width, line)
			}
		}
		if broken < 100 {
			t.Errorf("%d columns: %d lines go on below", width, broken)
		}
	}
}

func TestOptionsWithoutAWordListsTheSections(t *testing.T) {
	out, err := helped(t, 0, "options")
	if err != nil || strings.Count(out, "\n    ") != len(Sections()) || !strings.HasPrefix(out, "Usage: envoxyd options WORD") {
		t.Errorf("%v, %s", err, out)
	}
}

// A file that is named as a command is could not be configuration: its name has no extension.
func TestCommandsAreNoFiles(t *testing.T) {
	for name := range commands() {
		if path.Ext(name) != "" {
			t.Errorf("%s could be a file of configuration", name)
		}
	}
	if _, out, err := parseIn(t, map[string]string{"options": "[uwsgi]\n"}, nil, "options", "gevent"); err != nil || !strings.Contains(out, "--gevent ") {
		t.Errorf("%v, %s", err, out)
	}
	if _, _, err := parseIn(t, map[string]string{"options": "[uwsgi]\nset = a=b\n"}, nil, "--ini", "options"); err != nil {
		t.Errorf("a file of that name as a value: %v", err)
	}
	if _, _, err := parseIn(t, nil, nil, "--master", "options"); err == nil || !strings.Contains(err.Error(), "unable to load configuration from options") {
		t.Errorf("behind an option: %v", err)
	}
}

func TestDefaultsAreThoseOfTheConfiguration(t *testing.T) {
	for name, want := range map[string]string{"socket-timeout": "4", "buffer-size": "4096", "websockets-max-size": "1024", "asgi-loop": "auto", "need-app": "on",
		"harakiri": "", "master": "", "socket": "", "rrdtool-freq": "300", "carbon-root": "uwsgi.", "processes": "1", "listen": "100"} {
		if got := allOptions().find(name).DefaultText(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// What bash itself proposes with the script.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	_, script, err := parseIn(t, nil, nil, "completion", "bash")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"envoxyd opt": "options", "envoxyd completion z": "zsh", "envoxyd --allow-m": "--allow-missing", "envoxyd --master --wsgi-f": "--wsgi-file",
		"envoxyd --ini opt": "",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(bash, "--norc", "-c", script+`COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _envoxyd; echo "${COMPREPLY[*]}"`, "bash")
		cmd.Args = append(cmd.Args, words...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestShowConfigWritesAnIniFile(t *testing.T) {
	cfg := mustParse(t, "-M", "--set", "a=b c", "--set-ph", "e=")
	var out strings.Builder
	if err := cfg.WriteShowConfig(&out); err != nil {
		t.Fatal(err)
	}
	want := "\n;uWSGI instance configuration\n[uwsgi]\nmaster = true\nset = a=b c\na = b c\nset-ph = e=\ne = \n;end of configuration\n\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}
