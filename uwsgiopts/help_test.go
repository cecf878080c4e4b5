package uwsgiopts

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestHelpListsEveryNameOnALineOfItsOwn(t *testing.T) {
	_, out, err := parseIn(t, nil, nil, "--help")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, "Usage: /usr/bin/uwsgi [options...]\n") {
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
	for _, line := range []string{`-p\|--workers`, `-s\|--uwsgi-socket`, `-H\|--venv`, `--thunder-lock .*\[not needed: `, `--pivot-root .*\[unsupported: `} {
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
	if _, _, err := parseIn(t, nil, nil, "--completion", "csh"); err == nil {
		t.Error("csh is accepted")
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
