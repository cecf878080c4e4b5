package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"envoxyd/emperor"
	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

// serve runs the master, or an emperor, until it ends and returns the exit status.
func serve(cfg *uwsgiopts.Config, above *emperor.Above) int {
	hidePasswords(cfg)
	switch {
	case len(cfg.Emperors) == 0:
	case cfg.OnlyReigns():
		return master.Alone(cfg, func(log func(string, ...any), reap func(func(int) bool)) int { return emperor.Run(cfg, log, reap) })
	default:
		if err := emperorBeside(cfg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return master.Run(cfg, func() (*uwsgiopts.Config, error) { return rereadBeside(above) })
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
	var environ []string
	for _, p := range cfg.EmperorPairs() {
		switch {
		case p.Flag:
			words = append(words, "--"+p.Name)
		case uwsgiopts.PublicPlace(p.Value) != p.Value: // anybody may see the command line
			name := uwsgiopts.PlaceVariable + strconv.Itoa(len(environ))
			environ = append(environ, name+"="+p.Value)
			words = append(words, quote("--"+p.Name+"=$("+name+")"))
		default:
			words = append(words, quote("--"+p.Name+"="+p.Value))
		}
	}
	cfg.Daemons = append(cfg.Daemons, uwsgiopts.Daemon{Command: strings.Join(words, " "), Environ: environ, StopSignal: 15, KeepSignal: 1})
	return nil
}

// hidePasswords has passwords of an emperor's places vanish from the command line that ps shows, unless that gets another text anyway.
func hidePasswords(cfg *uwsgiopts.Config) {
	words := slices.Clone(os.Args)
	for i, word := range words {
		words[i] = uwsgiopts.PublicPlace(word)
	}
	if len(cfg.Emperors) == 0 || slices.Equal(words, os.Args) {
		return
	}
	if text := strings.Join(words, " "); cfg.OnlyReigns() {
		cfg.EmperorProcname = cmp.Or(cfg.EmperorProcname, text)
	} else if cfg.Procname == "" && cfg.ProcnamePrefix == "" && cfg.ProcnameAppend == "" && !cfg.AutoProcname {
		cfg.ProcnameMaster = cmp.Or(cfg.ProcnameMaster, text)
	}
}

// rereadBeside is reread with the emperor.
func rereadBeside(above *emperor.Above) (*uwsgiopts.Config, error) {
	cfg, err := reread(above)
	if err == nil {
		hidePasswords(cfg)
		err = emperorBeside(cfg)
	}
	return cfg, err
}

// quote makes a word for the shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
