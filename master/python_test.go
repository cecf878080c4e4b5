package master

import (
	"os"
	"path/filepath"
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
	dir := interpreters(t, map[string]string{"home": "python3", "old": "python", "active": "python3", "path": "python3", "empty": ""})
	tests := []struct {
		name, home, active string
		want               string
	}{
		{"home comes first", "home", filepath.Join(dir, "active"), "home/bin/python3"},
		{"home is absolute", filepath.Join(dir, "home"), "", "home/bin/python3"},
		{"bin/python will do", "old", "", "old/bin/python"},
		{"VIRTUAL_ENV", "", filepath.Join(dir, "active"), "active/bin/python3"},
		{"PATH", "", "", "path/bin/python3"},
		{"VIRTUAL_ENV without Python", "", filepath.Join(dir, "empty"), "path/bin/python3"},
	}
	for _, tt := range tests {
		t.Setenv("VIRTUAL_ENV", tt.active)
		t.Setenv("PATH", filepath.Join(dir, "path", "bin"))
		got, err := findPython(&uwsgiopts.Config{StartDir: dir, Home: tt.home})
		if err != nil || got != filepath.Join(dir, tt.want) {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestAPythonThatIsNotThere(t *testing.T) {
	dir := interpreters(t, map[string]string{"empty": ""})
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("PATH", filepath.Join(dir, "empty", "bin"))
	for home, want := range map[string]string{
		"none":  "home/virtualenv none: there is no such directory",
		"empty": "home/virtualenv empty: there is no bin/python3 in it",
		"":      `no Python found: give --virtualenv, or put python3 on PATH: exec: "python3": executable file not found in $PATH`,
	} {
		if _, err := findPython(&uwsgiopts.Config{StartDir: dir, Home: home}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", home, err, want)
		}
	}
}
