package main

import (
	"fmt"
	"io"
	"os"

	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

// noServer is a start with --no-server: the application is loaded, if there is one, and nothing serves.
func noServer(cfg *uwsgiopts.Config) int {
	if master.NamesApplication(cfg) {
		return master.Load(cfg)
	}
	return showOnly(cfg)
}

// showOnly logs the notices and ends. The configuration of --show-config goes to the terminal, wherever the log goes.
func showOnly(cfg *uwsgiopts.Config) int {
	log := io.Writer(os.Stderr)
	if cfg.Logto != "" {
		f, err := os.OpenFile(cfg.Logto, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			fmt.Fprintf(os.Stderr, "cannot open the log file: %v\n", err)
			return 1
		}
		defer f.Close()
		log = f
	}
	for _, notice := range cfg.Notices {
		fmt.Fprintln(log, notice)
	}
	if cfg.ShowConfig {
		if err := cfg.WriteShowConfig(os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	fmt.Fprintln(log, "no-server mode requested. Goodbye.")
	return 0
}
