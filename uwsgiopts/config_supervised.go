package uwsgiopts

import (
	"fmt"
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

// touchAction splits FILE ACTION.
func touchAction(field func(c *Config) *[][2]string) effect {
	return List.by(func(c *Config, g given) error {
		file, action, ok := strings.Cut(g.text, " ")
		if !ok {
			return fmt.Errorf("option %q: %q is not FILE ACTION", g.name, g.text)
		}
		*field(c) = append(*field(c), [2]string{file, action})
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
