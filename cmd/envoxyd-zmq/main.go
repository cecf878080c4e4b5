// Command envoxyd-zmq is started by envoxyd for services whose configuration names ZeroMQ endpoints:
// see package peers. Its argument is the descriptor of its specification. It alone links libzmq, so
// that everything else runs where that is not installed; with --version it only says which one it has.
package main

import (
	"fmt"
	"os"

	"envoxyd/gateway/peers"
	"envoxyd/gateway/sidecar"
	"envoxyd/transports/zmq"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("libzmq", zmq.Version())
		return
	}
	sidecar.Main("envoxyd-zmq", peers.Run)
}
