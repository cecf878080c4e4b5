// Command gendocs writes docs/options.md from the option table.
package main

import (
	"fmt"
	"os"

	"envoxyd/uwsgiopts"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], uwsgiopts.Markdown(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
