package main

import (
	"fmt"
	"io"
	"os"

	"envoxyd/modules"
)

// serviceFile is the configuration of a service that is named nowhere.
const serviceFile = "envoxy.json"

// printService writes envoxy.json as services see it: both spellings of keys, the environment and overrides in one document, secrets among
// it. words are the file, if it has another name, and overrides such as log.level=7. It returns the exit status.
func printService(out, problems io.Writer, words []string) int {
	file := serviceFile
	if len(words) > 0 {
		file, words = words[0], words[1:]
	}
	service, err := modules.Load(file, os.Environ(), words...)
	if err == nil {
		var dir string
		if dir, err = os.Getwd(); err == nil {
			err = service.Locate(dir)
		}
	}
	if err != nil {
		fmt.Fprintln(problems, err)
		return modules.ExitStatus(err)
	}
	for _, notice := range service.Notices {
		fmt.Fprintln(problems, notice)
	}
	fmt.Fprintf(out, "%s\n", service.Document)
	return 0
}
