// Command envoxyd-gateway is started by envoxyd for services that use events: see
// package gateway. Its argument is the descriptor of its specification.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"envoxyd/gateway"
	"envoxyd/internal/gatewayspec"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("envoxyd-gateway is started by envoxyd, not by hand")
	}
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return fmt.Errorf("envoxyd-gateway is started by envoxyd, not by hand: %w", err)
	}
	file := os.NewFile(uintptr(fd), "specification")
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("gateway specification: %w", err)
	}
	file.Close()
	var spec gatewayspec.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("gateway specification: %w", err)
	}
	// The gateway passes bytes on: on a small machine a second thread costs more in wake-ups than it
	// brings, so one does the work, and one stays awake (keepawake.go).
	if os.Getenv("GOMAXPROCS") == "" && runtime.NumCPU() <= 4 {
		runtime.GOMAXPROCS(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // what lives is small: a few megabytes more save a good part of the work
	}
	return gateway.Run(spec)
}
