// Package startspec is how the master's helper processes get the document that they are started with: as a descriptor
// whose number is their only argument.
package startspec

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
)

// Read reads the document of the program of this name into spec, and closes it.
func Read(name string, spec any) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("%s is started by envoxyd, not by hand", name)
	}
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return fmt.Errorf("%s is started by envoxyd, not by hand: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), "specification")
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("%s: specification: %w", name, err)
	}
	file.Close()
	if err := json.Unmarshal(text, spec); err != nil {
		return fmt.Errorf("%s: specification: %w", name, err)
	}
	return nil
}
