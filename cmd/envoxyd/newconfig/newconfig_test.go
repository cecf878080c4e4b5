package newconfig

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the golden files")

// folder makes a folder with files, name to text, and returns its path.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	source := fstest.MapFS{}
	for name, text := range files {
		source[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	if err := os.CopyFS(dir, source); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestApplicationsAreFound(t *testing.T) {
	django := map[string]string{
		"manage.py": "", "site1/settings.py": "BASE_DIR = 1\nSTATIC_ROOT = BASE_DIR / 'collected'\n", "site1/wsgi.py": "application = 1",
		"other/wsgi.py": "", "app.py": "app = Flask()",
	}
	for _, c := range []struct {
		name  string
		kind  Kind
		files map[string]string
		want  App
	}{
		{"shop", "", map[string]string{"app.py": "from flask import Flask\napp = Flask(__name__)\n"}, App{Kind: WSGI, Module: "app:app"}},
		{"shop", "", map[string]string{"main.py": "app = make()\napplication = wrap(app)\n"}, App{Kind: WSGI, Module: "main:application"}},
		{"shop", "", map[string]string{"wsgi.py": "def application(environ, start_response):\n    pass\n"}, App{Kind: WSGI, Module: "wsgi:application"}},
		{"shop", "", map[string]string{"wsgi.py": "application: Flask = 1\n", ".venv/pyvenv.cfg": ""}, App{Kind: WSGI, Module: "wsgi:application", Virtualenv: ".venv"}},
		{"shop", "", map[string]string{"app.py": "    app = 1\n# app = 1\napple = 1\n", "run.py": "app = 1"}, App{Kind: WSGI, Module: "run:app"}},
		{"shop", "", map[string]string{"app.py": "app = 1", "jobs/mail.py": "@spool(pass_arguments=True)\ndef send(): pass"}, App{Kind: WSGI, Module: "app:app", Spools: true}},
		{"shop", "", map[string]string{"app.py": "app = 1", "jobs.py": "@spoolless\n# uwsgi.spooler"}, App{Kind: WSGI, Module: "app:app"}},
		{"shop", "", django, App{Kind: Django, Module: "site1.wsgi:application", Static: "collected"}},
		{"shop", WSGI, django, App{Kind: WSGI, Module: "app:app"}},
		{"my shop!", "", map[string]string{"envoxy.json": "{}", "app.py": "app = 1"}, App{Kind: Envoxy, Name: "my-shop"}},
	} {
		if c.want.Name == "" {
			c.want.Name = c.name
		}
		if got, err := Find(folder(t, c.name, c.files), c.kind); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v, want %+v", c.files, got, err, c.want)
		}
	}
}

func TestWhatIsNotFoundIsNamed(t *testing.T) {
	dir := folder(t, "shop", map[string]string{"app.py": "nothing"})
	for kind, part := range map[Kind]string{"": "no envoxy.json, and no manage.py", Django: "it has no manage.py", WSGI: "application or app in wsgi.py"} {
		if _, err := Find(dir, kind); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestFilesAreWritten(t *testing.T) {
	for name, app := range map[string]App{
		"wsgi":   {Kind: WSGI, Name: "shop", Module: "app:app"},
		"django": {Kind: Django, Name: "shop", Module: "shop.wsgi:application", Virtualenv: ".venv", Static: "static", Spools: true},
		"envoxy": {Kind: Envoxy, Name: "cards", Virtualenv: "venv"},
	} {
		dir := t.TempDir()
		if err := Write(dir, app, "/usr/bin/envoxyd"); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{IniFile, UnitFile} {
			got, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			got = []byte(strings.ReplaceAll(string(got), dir, "/srv/shop"))
			golden := filepath.Join("testdata", name+filepath.Ext(file))
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(golden); err != nil || string(want) != string(got) {
				t.Errorf("%s: %v\n%s", golden, err, got)
			}
		}
	}
}

func TestThereIsADirectoryForJobs(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, App{Kind: WSGI, Spools: true}, "envoxyd"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, spoolDir)); err != nil || !info.IsDir() {
		t.Fatal(info, err)
	}
}

func TestArgumentsOfUnits(t *testing.T) {
	for text, want := range map[string]string{
		"/srv/shop/envoxyd.ini": "/srv/shop/envoxyd.ini", "/srv/my shop/a": `"/srv/my shop/a"`, `/a"b\c`: `"/a\"b\\c"`, "/50%/$x": `"/50%%/$$x"`, "": `""`,
	} {
		if got := argument(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := folder(t, "shop", map[string]string{UnitFile: "mine"})
	if err := Write(dir, App{Kind: WSGI}, "envoxyd"); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), UnitFile) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, IniFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("a file was written")
	}
}
