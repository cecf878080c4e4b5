// Command envoxyd serves Python applications as uWSGI does.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"envoxyd/emperor"
	"envoxyd/uwsgiopts"
)

// build says what this executable was made from; the linker sets it.
var build = ""

func main() {
	above := emperor.FindAbove()
	cfg, status := start(above)
	// uWSGI's meaning of fallback-config: once, and only for status 1.
	if status == 1 && cfg.FallbackConfig != "" && !cfg.Check {
		status = restart(cfg.FallbackConfig)
	}
	os.Exit(status)
}

// start does what the command line says and returns the exit status.
func start(above *emperor.Above) (*uwsgiopts.Config, int) {
	cfg, err := parse(above, false)
	var refused *uwsgiopts.ExitError
	switch {
	case errors.As(err, &refused):
		printNotices(cfg)
		fmt.Fprintln(os.Stderr, err)
		return cfg, refused.Status
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return cfg, 1
	case cfg.Check:
		return cfg, check(cfg)
	case cfg.Action != nil:
		return cfg, act(cfg.Action)
	case cfg.ConnectAndRead != "":
		return cfg, connectAndRead(cfg.ConnectAndRead)
	case cfg.Ping != "":
		return cfg, ping(cfg.Ping, cfg.PingTimeout)
	case cfg.RemoteSignal != nil:
		return cfg, raise(cfg.RemoteSignal, cfg.PingTimeout)
	case cfg.Nagios:
		return cfg, nagios(cfg)
	case cfg.ZabbixTemplate:
		return cfg, zabbixTemplate(cfg)
	case cfg.NoServer:
		return cfg, noServer(cfg)
	}
	return cfg, serve(cfg, above)
}

func parse(above *emperor.Above, reload bool) (*uwsgiopts.Config, error) {
	args := slices.Clone(os.Args[1:])
	for i := range args { // the process may write its name over them
		args[i] = strings.Clone(args[i])
	}
	return uwsgiopts.Parse(args, os.Environ(), uwsgiopts.ParseOptions{
		Args0: programName(), Stdin: os.Stdin, Stdout: os.Stdout, Width: terminalWidth(), Build: build, Reload: reload, Inherits: inheritsSockets(),
		Emperor: above.Read,
	})
}

// inheritsSockets tells whether systemd, a master that is being upgraded, or whoever opened standard input may
// have sockets for this process.
func inheritsSockets() bool {
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeSocket != 0 {
		return true
	}
	return slices.ContainsFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "LISTEN_FDS=") || strings.HasPrefix(pair, "TABLEFLIP_")
	})
}

// reread reads the configuration again for a reload of the running server.
func reread(above *emperor.Above) (*uwsgiopts.Config, error) {
	cfg, err := parse(above, true)
	if err == nil && cfg.Action != nil {
		err = errors.New("the configuration asks for something else than serving")
	}
	return cfg, err
}

// programName is what this process was called first; the variable survives a restart.
func programName() string {
	if name := os.Getenv("UWSGI_ORIGINAL_PROC_NAME"); name != "" {
		return name
	}
	return os.Args[0]
}

func printNotices(cfg *uwsgiopts.Config) {
	for _, notice := range cfg.Notices {
		fmt.Fprintln(os.Stderr, notice)
	}
}

// restart replaces this process by one that has only the configuration file. It returns
// the exit status if that fails.
func restart(config string) int {
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, []string{programName(), config}, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "cannot start again with %s: %v\n", config, err)
	return 1
}
