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

// showOnly logs what the configuration says, and ends. Where the log is a file, the configuration of --show-config goes to standard
// output too: that is where it was asked for.
func showOnly(cfg *uwsgiopts.Config) int {
	log := io.Writer(os.Stderr)
	show := []io.Writer{log}
	if cfg.Logto != "" {
		f, err := os.OpenFile(cfg.Logto, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			fmt.Fprintf(os.Stderr, "cannot open the log file: %v\n", err)
			return 1
		}
		defer f.Close()
		log, show = f, []io.Writer{f, os.Stdout}
	}
	for _, notice := range cfg.Notices {
		fmt.Fprintln(log, notice)
	}
	for _, out := range show {
		if !cfg.ShowConfig {
			break
		}
		if err := cfg.WriteShowConfig(out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	fmt.Fprintln(log, "no-server mode requested. Goodbye.")
	return 0
}
