// Command envoxyd-gateway is started by envoxyd for services that use events: see
// package gateway. Its argument is the descriptor of its specification.
package main

import (
	"envoxyd/gateway"
	"envoxyd/gateway/sidecar"
)

func main() { sidecar.Main("envoxyd-gateway", gateway.Run) }
