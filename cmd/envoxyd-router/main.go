// Command envoxyd-router is started by envoxyd where the configuration names a router: see package router. Its
// argument is the descriptor of its specification.
package main

import (
	"fmt"
	"os"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/startspec"
	"envoxyd/router"
)

func main() {
	var spec routerspec.Spec
	err := startspec.Read("envoxyd-router", &spec)
	if err == nil {
		err = router.Run(&spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
