// Command gen writes the layouts that Python or, in a .h file, C shares with Go.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"envoxyd/internal/layout"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FILE")
		os.Exit(2)
	}
	write := layout.Python
	if filepath.Ext(os.Args[1]) == ".h" {
		write = layout.C
	}
	text, err := write()
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
