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
	FSReload, FSBrutalReload []string // files and directories: the kernel tells of changes

	StatsHTTP     bool
	StatsMinified bool
	StatsNoCores  bool

	TouchWorkersReload []string
	TouchChainReload   []string

	TouchExec [][2]string // file and shell command
	HookTouch [][2]string // file and ACTION:ARGUMENT

	Hooks []Hook // --hook-PHASE and --exec-PHASE, in order; the phase start has what comes first of all

	WaitForFiles, WaitForSockets, WaitForInterfaces time.Duration // how long hooks wait for them

	Daemons []Daemon
	Smart   []Daemon // those with a pidfile, which outlive the instance

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
	Environ     []string // added to the instance's own
	KeepSignal  int      // a reload of the instance that does not change it sends it this; 0: it starts it anew

	// Of those with a pidfile only.
	Pidfile      string
	Daemonize    bool // it stays in the foreground: the instance puts it into the background and writes the pidfile
	Freq         int  // seconds between looks
	ReloadSignal int  // what a reload of the instance sends it; 0: nothing
}

// defaultFreq is how often uWSGI looks after a daemon's pidfile, in seconds.
const defaultFreq = 10

// touchAction splits FILE ACTION.
func touchAction(field func(c *Config) *[][2]string) effect {
	return List.by(func(c *Config, g given) error {
		file, action, ok := strings.Cut(g.text, " ")
		if !ok {
			return fmt.Errorf("option %q: %q is not a file, a blank and what to do", g.name, g.text)
		}
		*field(c) = append(*field(c), [2]string{file, action})
		return nil
	})
}

const sigterm = 15

func daemon(control bool) effect {
	return List.by(func(c *Config, g given) error {
		c.Daemons = append(c.Daemons, Daemon{Command: g.text, Control: control, StopSignal: sigterm})
		return nil
	})
}

// setDaemon2 reads KEY=VALUE,KEY=VALUE.
func setDaemon2(c *Config, g given) error {
	d := Daemon{StopSignal: sigterm, Freq: defaultFreq}
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
		case "pidfile":
			d.Pidfile = value
		case "daemonize", "daemon":
			d.Daemonize = given{text: value}.on()
		case "freq":
			d.Freq, err = strconv.Atoi(value)
		case "reloadsignal", "reload_signal":
			d.ReloadSignal, err = strconv.Atoi(value)
		case "ns_pid", "notifypid":
			err = errors.New("is not there yet")
		default:
			err = errors.New("is not known")
		}
		if err != nil {
			return fmt.Errorf("option %q: %s: %w", g.name, key, err)
		}
	}
	if d.Command == "" || d.StopSignal < 1 || d.StopSignal > 64 || d.ReloadSignal < 0 || d.ReloadSignal > 64 {
		return fmt.Errorf("option %q: a command (cmd=) and a signal's number are needed", g.name)
	}
	if d.Pidfile != "" {
		c.Smart = append(c.Smart, d)
	} else {
		c.Daemons = append(c.Daemons, d)
	}
	return nil
}

// smartDaemon reads PIDFILE[,FREQ] COMMAND.
func smartDaemon(daemonize bool) effect {
	return List.by(func(c *Config, g given) error {
		head, command, _ := strings.Cut(g.text, " ")
		pidfile, every, hasFreq := strings.Cut(head, ",")
		d := Daemon{Command: strings.TrimSpace(command), Pidfile: pidfile, Daemonize: daemonize, StopSignal: sigterm, Freq: defaultFreq}
		if d.Command == "" || d.Pidfile == "" {
			return fmt.Errorf("option %q: %q is not a pidfile, a blank and a command", g.name, g.text)
		}
		if hasFreq {
			var err error
			if d.Freq, err = strconv.Atoi(every); err != nil || d.Freq < 1 {
				return fmt.Errorf("option %q: %q is no number of seconds", g.name, every)
			}
		}
		c.Smart = append(c.Smart, d)
		return nil
	})
}

// Hook is what is to be done in a phase of the instance's life.
type Hook struct {
	Phase   string // as in the option's name: asap, pre-jail, …
	Command bool   // Text is a shell command (--exec-PHASE), else ACTION:ARGUMENT
	Text    string
}

func hook(phase string) effect {
	return List.by(func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Text: g.text})
		return nil
	})
}

// hookAction is hook for options that are one action of hooks: the value is the argument.
func hookAction(phase, action string) effect {
	return List.by(func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Text: action + ":" + g.text})
		return nil
	})
}

func execute(phase string) effect {
	return List.by(func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Command: true, Text: g.text})
		return nil
	})
}
