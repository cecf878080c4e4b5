package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"envoxyd/uwsgiopts"
)

// controlSignals are what uWSGI's --stop PIDFILE and the like send.
var controlSignals = map[string]syscall.Signal{
	"stop": syscall.SIGINT, "reload": syscall.SIGHUP,
	"pause": syscall.SIGTSTP, "suspend": syscall.SIGTSTP, "resume": syscall.SIGTSTP,
}

const (
	statusBadPidfile = 1
	statusNoProcess  = 255
	upgradeTimeout   = 90 * time.Second
)

// act carries out what was asked for instead of serving and returns the exit status.
func act(action *uwsgiopts.Action) int {
	switch action.Kind {
	case uwsgiopts.ActionExit:
		return action.Status
	case uwsgiopts.ActionService:
		return printService(os.Stdout, os.Stderr, action.Words)
	case uwsgiopts.ActionInit:
		return initialise(os.Stdout, os.Stderr, action.Words)
	}
	pid, err := readPidfile(action.Pidfile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return statusBadPidfile
	}
	if action.Option == "upgrade" {
		if err := upgrade(action.Pidfile, pid, upgradeTimeout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	if err := syscall.Kill(pid, controlSignals[action.Option]); err != nil {
		fmt.Fprintf(os.Stderr, "cannot signal process %d of %s: %v\n", pid, action.Pidfile, err)
		return statusNoProcess
	}
	return 0
}

// readPidfile returns the process of a pidfile. Numbers below 2 would address a whole
// group, or init, so they are refused.
func readPidfile(name string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("cannot read the pidfile: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("the pidfile %s holds %.40q, which is no process id", name, text)
	}
	return pid, nil
}

// upgrade asks a master to replace its executable, and waits until the pidfile names
// another process that lives.
func upgrade(pidfile string, old int, timeout time.Duration) error {
	if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
		return fmt.Errorf("cannot signal process %d of %s: %w", old, pidfile, err)
	}
	const interval = 50 * time.Millisecond
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(interval) {
		pid, err := readPidfile(pidfile)
		switch {
		case err == nil && pid != old && alive(pid):
			return nil
		case !alive(old):
			return fmt.Errorf("process %d of %s ended, and no other took its place", old, pidfile)
		}
	}
	return fmt.Errorf("process %d of %s was not replaced within %s; its log says why", old, pidfile, timeout)
}

// alive: a process that may not be signalled exists all the same.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
