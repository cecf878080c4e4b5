package main

import (
	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

// serve runs the master until it ends and returns the exit status.
func serve(cfg *uwsgiopts.Config) int {
	return master.Run(cfg, reread)
}
