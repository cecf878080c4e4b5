package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"envoxyd/cmd/envoxyd/newconfig"
)

// initialise writes a first configuration for the application in the working directory. words may hold its kind. It returns the exit status.
func initialise(out, problems io.Writer, words []string) int {
	var kind newconfig.Kind
	switch {
	case len(words) == 1 && slices.Contains(newconfig.Kinds, newconfig.Kind(words[0])):
		kind = newconfig.Kind(words[0])
	case len(words) > 0:
		fmt.Fprintln(problems, "usage: envoxyd init [wsgi|django|envoxy], in the directory of the application")
		return 2
	}
	app, err := newconfig.Find(".", kind)
	var program string
	if err == nil {
		program, err = os.Executable()
	}
	if err == nil {
		err = newconfig.Write(".", app, program)
	}
	if err != nil {
		fmt.Fprintf(problems, "envoxyd init: %v\n", err)
		return 1
	}
	what := app.Module
	if what == "" {
		what = serviceFile
	}
	fmt.Fprintf(out, "found %s (%s)\nwrote %s and %s\nstart it: envoxyd --ini %s\n", what, app.Kind, newconfig.IniFile, newconfig.UnitFile, newconfig.IniFile)
	return 0
}
