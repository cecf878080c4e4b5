// Package paths is about names of files in a configuration.
package paths

import "path/filepath"

// In is the path of a file whose name relates to dir, unless it is absolute.
func In(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
