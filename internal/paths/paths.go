// Package paths is about names of files in a configuration.
package paths

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DefaultShell runs commands where --binsh names none that is there.
const DefaultShell = "/bin/sh"

// Shell is the first of the shells of --binsh that is there.
func Shell(shells []string) string {
	for _, path := range shells {
		if unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return DefaultShell
}

// In is the path of a file whose name relates to dir, unless it is absolute.
func In(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
