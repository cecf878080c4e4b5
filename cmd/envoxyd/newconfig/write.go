package newconfig

import (
	"bytes"
	_ "embed" // for the templates
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// The files that Write makes.
const (
	IniFile  = "envoxyd.ini"
	UnitFile = "envoxyd.service"

	spoolDir = "spool"
)

//go:embed envoxyd.ini.tmpl
var ini string

//go:embed envoxyd.service.tmpl
var unit string

// Write makes both files in the folder, and a directory for jobs if there will be any. program is the path of the server for the unit. It
// writes nothing if one of the files exists.
func Write(dir string, app App, program string) error {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	values := struct {
		App
		Dir, Ini, Program string
	}{app, absolute, filepath.Join(absolute, IniFile), program}
	names, texts := []string{IniFile, UnitFile}, make([]bytes.Buffer, 2)
	for i, text := range []string{ini, unit} {
		if _, err := os.Lstat(filepath.Join(dir, names[i])); err == nil {
			return fmt.Errorf("%w: %s; nothing was written", fs.ErrExist, filepath.Join(dir, names[i]))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := template.Must(template.New(names[i]).Funcs(template.FuncMap{"argument": argument}).Parse(text)).Execute(&texts[i], values); err != nil {
			return err
		}
	}
	if app.Spools {
		if err := os.MkdirAll(filepath.Join(dir, spoolDir), 0o755); err != nil {
			return err
		}
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), texts[i].Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var (
	plain  = regexp.MustCompile(`^[A-Za-z0-9_./:@+-]+$`)
	quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`, "\n", `\n`)
)

// argument is text as one word of a unit's command line (systemd.service, "COMMAND LINES").
func argument(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return `"` + quoted.Replace(text) + `"`
}
