package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminalWidth is how many columns the terminal has that standard output is; 0: it is none. COLUMNS says otherwise.
func terminalWidth() int {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	return int(size.Col)
}
