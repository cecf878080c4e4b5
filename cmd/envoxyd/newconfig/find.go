// Package newconfig finds the application in a folder and writes a first configuration for it: a commented ini file and a systemd unit.
package newconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Kind is what kind of application a configuration is for.
type Kind string

// The kinds, as they are named on the command line.
const (
	WSGI   Kind = "wsgi"
	Django Kind = "django"
	Envoxy Kind = "envoxy"
)

// Kinds are all of them, in the order in which applications are looked for.
var Kinds = []Kind{Envoxy, Django, WSGI}

// finders know how to find an application of each kind, and what they look for.
var finders = map[Kind]struct {
	find   func(dir string, app *App) bool
	wanted string
}{
	Envoxy: {findEnvoxy, "envoxy.json"},
	Django: {findDjango, "manage.py and a package with wsgi.py"},
	WSGI:   {findWSGI, "application or app in " + strings.Join(files, ", ")},
}

// ErrNotFound is a folder without an application of the kind that is looked for.
var ErrNotFound = errors.New("no application was found")

// App is an application that was found.
type App struct {
	Kind Kind
	// Name is what the service is called: the folder's name, made of letters, digits, - and _.
	Name string
	// Module is MODULE:CALLABLE for WSGI and Django.
	Module string
	// Virtualenv is the folder of a virtual environment, relative to the application's; "": there is none.
	Virtualenv string
	// Static is the folder of Django's collected static files, relative to the application's; "": STATIC_ROOT was not understood.
	Static string
	// Spools: some module gives jobs to the spooler, which needs a directory.
	Spools bool
}

// files are the names that an application usually has, in the order in which they are tried.
var files = []string{"wsgi.py", "app.py", "application.py", "main.py", "run.py", "server.py"}

var (
	callable   = regexp.MustCompile(`(?m)^(?:(?:async\s+)?def\s+|class\s+)?(application|app)\b\s*(?:[=(:])`)
	notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	spools     = regexp.MustCompile(`(?m)^\s*@(?:uwsgidecorators\.)?spool(?:raw|forever)?\b|\buwsgi\.spool\b`)
	staticRoot = regexp.MustCompile(`(?m)^STATIC_ROOT\s*=\s*(?:BASE_DIR\s*/\s*|os\.path\.join\(\s*BASE_DIR\s*,\s*)["']([^"']+)["']`)
)

// Find looks for an application of the kind in the folder; kind "": of any. An error that is ErrNotFound says what was looked for.
func Find(dir string, kind Kind) (App, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return App{}, err
	}
	app := App{Name: strings.Trim(notInNames.ReplaceAllString(filepath.Base(absolute), "-"), "-"), Virtualenv: virtualenv(dir)}
	if app.Name == "" {
		app.Name = "app"
	}
	var wanted []string
	for _, one := range Kinds {
		if kind != "" && kind != one {
			continue
		}
		if finders[one].find(dir, &app) {
			app.Kind, app.Spools = one, useSpooler(dir)
			return app, nil
		}
		wanted = append(wanted, finders[one].wanted)
	}
	return App{}, fmt.Errorf("%w in %s: it has no %s", ErrNotFound, absolute, strings.Join(wanted, ", and no "))
}

func findEnvoxy(dir string, _ *App) bool { return isFile(filepath.Join(dir, "envoxy.json")) }

// findDjango takes the package that has a wsgi.py beside its settings.
func findDjango(dir string, app *App) bool {
	if !isFile(filepath.Join(dir, "manage.py")) {
		return false
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*", "wsgi.py")) // the pattern is well-formed
	slices.Sort(found)
	for _, file := range found {
		site := filepath.Dir(file)
		if !isFile(filepath.Join(site, "settings.py")) && !isFile(filepath.Join(site, "settings", "__init__.py")) {
			continue
		}
		app.Module = filepath.Base(site) + ".wsgi:application"
		if text, err := os.ReadFile(filepath.Join(site, "settings.py")); err == nil {
			if root := staticRoot.FindSubmatch(text); root != nil {
				app.Static = string(root[1])
			}
		}
		return true
	}
	return false
}

// findWSGI takes the first module that defines application or app at its top level; of both application, which needs no mention.
func findWSGI(dir string, app *App) bool {
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		var names []string
		for _, match := range callable.FindAllSubmatch(text, -1) {
			names = append(names, string(match[1]))
		}
		if len(names) == 0 {
			continue
		}
		app.Module = strings.TrimSuffix(name, ".py") + ":" + slices.MaxFunc(names, strings.Compare) // "application" is the larger one
		return true
	}
	return false
}

// useSpooler tells whether a module in the folder, or in one directly below it, uses the spooler.
func useSpooler(dir string) bool {
	for _, pattern := range []string{"*.py", "*/*.py"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well-formed
		for _, file := range found {
			if text, err := os.ReadFile(file); err == nil && spools.Match(text) {
				return true
			}
		}
	}
	return false
}

func virtualenv(dir string) string {
	for _, name := range []string{".venv", "venv", "env"} {
		if isFile(filepath.Join(dir, name, "pyvenv.cfg")) {
			return name
		}
	}
	return ""
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
