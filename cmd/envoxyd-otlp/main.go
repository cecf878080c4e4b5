// Command envoxyd-otlp is started by envoxyd where spans are exported: see package otlp. Its argument is the descriptor of
// its specification.
package main

import (
	"fmt"
	"os"

	"envoxyd/internal/startspec"
	"envoxyd/internal/tracing"
	"envoxyd/otlp"
)

func main() {
	var spec tracing.Spec
	err := startspec.Read("envoxyd-otlp", &spec)
	if err == nil {
		err = otlp.Run(&spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
