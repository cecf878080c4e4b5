package uwsgiopts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SupervisedConfig is what the master looks after beside workers.
type SupervisedConfig struct {
	StatsHTTP     bool
	StatsMinified bool
	StatsNoCores  bool

	TouchWorkersReload []string
	TouchChainReload   []string

	TouchExec [][2]string // file and shell command
	HookTouch [][2]string // file and ACTION:ARGUMENT

	Hooks   []Hook // --hook-PHASE and --exec-PHASE, in order
	Daemons []Daemon

	Crons        []Cron
	CronHarakiri time.Duration // for those that say nothing themselves; 0: none
}

// Daemon is a command that runs beside the workers.
type Daemon struct {
	Command     string
	Control     bool // its end stops the instance
	Stdin       bool // it has the instance's standard input
	StopSignal  int
	UID, GID    string // "": as the master
	Chdir       string
	Touch       []string // files whose change starts it anew
	MaxThrottle int      // seconds between respawns at most; 0: 300
}

// touchAction splits FILE ACTION.
func touchAction(field func(c *Config) *[][2]string) setter {
	return func(c *Config, g given) error {
		file, action, ok := strings.Cut(g.text, " ")
		if !ok {
			return fmt.Errorf("option %q: %q is not a file, a blank and what to do", g.name, g.text)
		}
		*field(c) = append(*field(c), [2]string{file, action})
		return nil
	}
}

const sigterm = 15

func daemon(control bool) setter {
	return func(c *Config, g given) error {
		c.Daemons = append(c.Daemons, Daemon{Command: g.text, Control: control, StopSignal: sigterm})
		return nil
	}
}

// setDaemon2 reads KEY=VALUE,KEY=VALUE.
func setDaemon2(c *Config, g given) error {
	d := Daemon{StopSignal: sigterm}
	for part := range strings.SplitSeq(g.text, ",") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "cmd", "command", "exec":
			d.Command = value
		case "control":
			d.Control = given{text: value}.on()
		case "stdin":
			d.Stdin = given{text: value}.on()
		case "stopsignal", "stop_signal":
			d.StopSignal, err = strconv.Atoi(value)
		case "uid":
			d.UID = value
		case "gid":
			d.GID = value
		case "chdir":
			d.Chdir = value
		case "touch":
			d.Touch = strings.Split(value, ";")
		case "max_throttle":
			d.MaxThrottle, err = strconv.Atoi(value)
		case "pidfile", "daemonize", "daemon", "freq", "reloadsignal", "reload_signal", "ns_pid", "notifypid":
			err = errors.New("is not there yet")
		default:
			err = errors.New("is not known")
		}
		if err != nil {
			return fmt.Errorf("option %q: %s: %w", g.name, key, err)
		}
	}
	if d.Command == "" || d.StopSignal < 1 || d.StopSignal > 64 {
		return fmt.Errorf("option %q: a command (cmd=) and a signal's number are needed", g.name)
	}
	c.Daemons = append(c.Daemons, d)
	return nil
}

// Hook is what is to be done in a phase of the instance's life.
type Hook struct {
	Phase   string // as in the option's name: asap, pre-jail, …
	Command bool   // Text is a shell command (--exec-PHASE), else ACTION:ARGUMENT
	Text    string
}

func hook(phase string) setter {
	return func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Text: g.text})
		return nil
	}
}

func execute(phase string) setter {
	return func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Command: true, Text: g.text})
		return nil
	}
}
