package main

import (
	"fmt"
	"os"
	"strings"

	"envoxyd/emperor"
	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

// serve runs the master, or an emperor, until it ends and returns the exit status.
func serve(cfg *uwsgiopts.Config) int {
	switch {
	case len(cfg.Emperors) == 0:
	case !cfg.ServesItself():
		return master.Alone(cfg, func(log func(string, ...any), reap func(func(int) bool)) int { return emperor.Run(cfg, log, reap) })
	default:
		if err := emperorBeside(cfg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return master.Run(cfg, rereadBeside)
}

// emperorBeside has the master run an emperor as a daemon of its own, beside the workers.
func emperorBeside(cfg *uwsgiopts.Config) error {
	if len(cfg.Emperors) == 0 {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("emperor: %w", err)
	}
	words := []string{"exec", "env"}
	for _, pair := range os.Environ() { // options of the workers' there would be its own too
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "UWSGI_") {
			words = append(words, "-u", quote(name))
		}
	}
	words = append(words, quote(self))
	for _, p := range cfg.EmperorPairs() {
		if p.Flag {
			words = append(words, "--"+p.Name)
		} else {
			words = append(words, quote("--"+p.Name+"="+p.Value))
		}
	}
	cfg.Daemons = append(cfg.Daemons, uwsgiopts.Daemon{Command: strings.Join(words, " "), StopSignal: 15, KeepSignal: 1})
	return nil
}

// rereadBeside is reread with the emperor.
func rereadBeside() (*uwsgiopts.Config, error) {
	cfg, err := reread()
	if err == nil {
		err = emperorBeside(cfg)
	}
	return cfg, err
}

// quote makes a word for the shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
