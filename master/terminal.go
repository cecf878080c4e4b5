package master

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// shown tells whether a person reads the log: then it has colours, lines about requests are
// short, and a summary ends the start. Whatever else reads it gets the lines as they are.
type shown struct{ short, color bool }

// shownTo decides by --log-color and by what descriptor 2 is.
func shownTo(cfg *uwsgiopts.Config, terminal bool, getenv func(string) string) shown {
	switch {
	case cfg.LogMaster || cfg.LogFile() != "" || cfg.LogColor == uwsgiopts.ColorNever:
		return shown{}
	case cfg.LogColor == uwsgiopts.ColorAlways:
		return shown{true, true}
	case !terminal:
		return shown{}
	}
	return shown{true, getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// ownShown is shownTo of this process.
func ownShown(cfg *uwsgiopts.Config) shown {
	_, err := unix.IoctlGetTermios(2, unix.TCGETS)
	return shownTo(cfg, err == nil, os.Getenv)
}

// summary is what matters to a person at the end of a start.
func summary(cfg *uwsgiopts.Config, listening []*sockets.Socket, python string, pid int, took time.Duration) (lines []string) {
	lines = append(lines, fmt.Sprintf("envoxyd is ready after %.1f s", took.Seconds()))
	add := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("  %-12s%s", name, fmt.Sprintf(format, args...)))
	}
	for _, s := range listening {
		switch {
		case s.Protocol == sockets.Shared || s.Protocol == sockets.Pool:
		case strings.Contains(s.Protocol, "http") && !s.Unix():
			add("listening", "%s (%s)", address(s), s.Protocol)
		default:
			add("listening", "%s (%s)", s.Name, s.Protocol)
		}
	}
	if application := applicationName(cfg); application != "" {
		add("application", "%s", application)
	}
	add("python", "%s", python)
	workers := fmt.Sprintf("%d", cfg.Processes)
	switch {
	case cfg.Loop != "":
		workers += fmt.Sprintf(", %d requests at a time in each (%s)", cfg.Cores(), cfg.Loop)
	case cfg.Threads > 1:
		workers += fmt.Sprintf(" with %d threads each", cfg.Threads)
	}
	add("workers", "%s", workers)
	reload := fmt.Sprintf("kill -HUP %d", pid)
	if len(cfg.TouchReload) > 0 {
		reload += ", or touch " + cfg.TouchReload[0]
	}
	if cfg.PyAutoreload > 0 {
		reload += ", or save a module"
	}
	add("reload", "%s", reload)
	add("stop", "Ctrl-C, or kill -INT %d", pid)
	return lines
}

// address is what a browser is given.
func address(s *sockets.Socket) string {
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
	}
	name := s.Name
	for _, all := range []string{"0.0.0.0:", "[::]:", ":"} {
		if rest, is := strings.CutPrefix(name, all); is {
			name = "localhost:" + rest
			break
		}
	}
	return scheme + "://" + name + "/"
}

// applicationName is the application as the options name it.
func applicationName(cfg *uwsgiopts.Config) string {
	if cfg.WSGIFile == "" && len(cfg.Modules) > 0 {
		return cfg.Modules[0]
	}
	return cmp.Or(cfg.WSGIFile, cfg.Paste, cfg.Pecan, strings.Join(cfg.Mounts, ", "))
}

// tellReady logs the summary, if a person reads.
func (m *master) tellReady(g *generation) {
	to := ownShown(g.cfg)
	if !to.short {
		return
	}
	python, err := findPython(g.cfg)
	if err != nil {
		python = "unknown"
	}
	lines := summary(g.cfg, m.sockets, python, os.Getpid(), time.Since(m.started))
	if to.color {
		lines[0] = "\x1b[1;32m" + lines[0] + "\x1b[0m"
	}
	text := strings.Join(slices.Concat([]string{""}, lines, []string{""}), "\n") + "\n"
	_, _ = direct.WriteShown([]byte(text)) // it never fails
}
