package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"envoxyd/uwsgiopts"
)

// interpreters makes one directory with bin/NAME in it for each name, and returns the parent of them all.
func interpreters(t *testing.T, names map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for venv, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, venv, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if name == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, venv, "bin", name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhichPythonServes(t *testing.T) {
	dir := interpreters(t, map[string]string{"home": "python3", "old": "python", "active": "python3", "path": "python3", "empty": "", "named": "python3"})
	active, named := filepath.Join(dir, "active"), filepath.Join(dir, "named", "bin", "uwsgi")
	tests := []struct {
		name   string
		cfg    uwsgiopts.Config
		active string
		want   string
	}{
		{"home comes first", uwsgiopts.Config{Home: "home", BinaryPath: named}, active, "home/bin/python3"},
		{"home is absolute", uwsgiopts.Config{Home: filepath.Join(dir, "home")}, "", "home/bin/python3"},
		{"bin/python will do", uwsgiopts.Config{Home: "old"}, "", "old/bin/python"},
		{"binary-path", uwsgiopts.Config{BinaryPath: named}, active, "named/bin/python3"},
		{"binary-path is relative", uwsgiopts.Config{BinaryPath: "named/bin/uwsgi"}, "", "named/bin/python3"},
		{"binary-path elsewhere", uwsgiopts.Config{BinaryPath: "empty/bin/uwsgi"}, active, "active/bin/python3"},
		{"py-programname", uwsgiopts.Config{PyProgramname: "old/bin/python", BinaryPath: named}, active, "old/bin/python"},
		{"py-programname is no path", uwsgiopts.Config{PyProgramname: "site", BinaryPath: named}, "", "path/bin/python3"},
		{"VIRTUAL_ENV", uwsgiopts.Config{}, active, "active/bin/python3"},
		{"PATH", uwsgiopts.Config{}, "", "path/bin/python3"},
		{"VIRTUAL_ENV without Python", uwsgiopts.Config{}, filepath.Join(dir, "empty"), "path/bin/python3"},
		{"VIRTUAL_ENV has gone", uwsgiopts.Config{}, filepath.Join(dir, "none"), "path/bin/python3"},
	}
	for _, tt := range tests {
		t.Setenv("VIRTUAL_ENV", tt.active)
		t.Setenv("PATH", filepath.Join(dir, "path", "bin"))
		tt.cfg.StartDir = dir
		got, notices, err := choosePython(&tt.cfg)
		if err != nil || got != filepath.Join(dir, tt.want) || len(notices) > 0 {
			t.Errorf("%s: %s, %q, %v, want %s", tt.name, got, notices, err, tt.want)
		}
	}
}

func TestAPythonThatIsNotThere(t *testing.T) {
	dir := interpreters(t, map[string]string{"empty": ""})
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("PATH", filepath.Join(dir, "empty", "bin"))
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for home, want := range map[string]string{
		"none":  "home/virtualenv none: there is no such directory",
		"file":  "home/virtualenv file: it is not a directory",
		"empty": "home/virtualenv empty: there is no bin/python3 in it",
		"":      `no Python found: give --virtualenv, or put python3 on PATH: exec: "python3": executable file not found in $PATH`,
	} {
		if _, err := findPython(&uwsgiopts.Config{StartDir: dir, Home: home}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", home, err, want)
		}
	}
}

// A broken interpreter is not called absent. One that --home does not name is passed over, but not in silence.
func TestABrokenPython(t *testing.T) {
	dir := interpreters(t, map[string]string{"path": "python3"})
	for _, tt := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"dangling", "is a link to /none/python3.9, which does not exist", func(path string) error { return os.Symlink("/none/python3.9", path) }},
		{"directory", "is a directory", func(path string) error { return os.Mkdir(path, 0o755) }},
		{"mode", "is not executable: nobody may execute it", func(path string) error { return os.WriteFile(path, nil, 0o644) }},
		{"loop", "is a link to python3, which cannot be executed: too many levels of symbolic links", func(path string) error { return os.Symlink("python3", path) }},
	} {
		venv := filepath.Join(dir, tt.name)
		python := filepath.Join(venv, "bin", "python3")
		if err := os.MkdirAll(filepath.Dir(python), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := tt.make(python); err != nil {
			t.Fatal(err)
		}
		_, _, err := choosePython(&uwsgiopts.Config{StartDir: dir, Home: tt.name})
		if want := "home/virtualenv " + tt.name + ": " + python + " " + tt.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		t.Setenv("VIRTUAL_ENV", venv)
		t.Setenv("PATH", filepath.Join(dir, "path", "bin"))
		got, notices, err := choosePython(&uwsgiopts.Config{StartDir: dir})
		if err != nil || got != filepath.Join(dir, "path", "bin", "python3") || len(notices) != 1 || !strings.HasPrefix(notices[0], "VIRTUAL_ENV "+venv+": "+python+" "+tt.want) {
			t.Errorf("%s: %s, %q, %v", tt.name, got, notices, err)
		}
	}
}
