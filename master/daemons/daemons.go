// Package daemons keeps the commands of --attach-daemon and --smart-attach-daemon running.
//
// It knows no master: a Host starts processes, tells of their ends and has the clock. All
// methods, and all functions that are given to the Host, are called by the one goroutine
// that owns the state.
package daemons

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// Host is what daemons need of the program that they are attached to.
type Host interface {
	// Start starts a process. ended, unless it is nil, is called when the process has ended.
	Start(cmd *exec.Cmd, ended func()) (pid int, err error)
	// Kill sends a signal to a process, or to the process group -pid.
	Kill(pid int, signal syscall.Signal) error
	// GroupLives tells whether a process of the group runs.
	GroupLives(group int) bool
	// Output is where a new attached daemon writes, and is closed when the daemon has it;
	// nil: where this process does.
	Output() (*os.File, error)
	// Credential looks up a user and a group, either of which may be "".
	Credential(uid, gid string) (*syscall.Credential, error)

	Now() time.Time
	// After calls do when that time has passed; at once if it is none.
	After(wait time.Duration, do func())

	// Ending tells whether the instance is on its way out: nothing is started any more.
	Ending() bool
	// Stop ends the instance gracefully.
	Stop()
	Logf(format string, args ...any)
}

// Settings are what a configuration says about its daemons.
type Settings struct {
	Daemons []uwsgiopts.Daemon
	Dir     string        // where they are started, unless they say otherwise
	Stdin   bool          // all of them have the instance's standard input
	Timeout time.Duration // for a daemon to end before it is killed; 0: defaultTimeout
}

// Status is what the statistics show of a daemon.
type Status struct {
	Command  string
	PID      int // 0: there is no process at the moment
	Respawns int
}

// defaultTimeout is how long a daemon may take to end without --reload-mercy.
const defaultTimeout = 3 * time.Second

// command is a daemon's process, about to be started.
func (s *Settings) command(h Host, d *uwsgiopts.Daemon) (*exec.Cmd, error) {
	cmd := exec.Command("/bin/sh", "-c", d.Command)
	cmd.Dir = paths.In(s.Dir, d.Chdir)
	if len(d.Environ) > 0 {
		cmd.Env = append(os.Environ(), d.Environ...)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if d.Stdin || s.Stdin {
		cmd.Stdin = os.Stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if d.PIDNamespace {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	if d.UID == "" && d.GID == "" {
		return cmd, nil
	}
	var err error
	if cmd.SysProcAttr.Credential, err = h.Credential(d.UID, d.GID); err != nil {
		return nil, fmt.Errorf("attach-daemon2: %w", err)
	}
	return cmd, nil
}

// start starts a daemon's process.
func start(h Host, d *uwsgiopts.Daemon, cmd *exec.Cmd, ended func()) (pid int, err error) {
	pid, err = h.Start(cmd, ended)
	if err != nil && d.PIDNamespace && errors.Is(err, syscall.EPERM) {
		err = fmt.Errorf("ns_pid: %w: only root may make a namespace", err)
	}
	return pid, err
}

// announce says that a daemon is started, for the nth time.
func announce(h Host, d *uwsgiopts.Daemon, cmd *exec.Cmd, before int) {
	verb := "spawning"
	if before > 0 {
		verb = "respawning"
	}
	uid, gid := os.Getuid(), os.Getgid()
	if who := cmd.SysProcAttr.Credential; who != nil {
		uid, gid = int(who.Uid), int(who.Gid)
	}
	h.Logf("[uwsgi-daemons] %s %q (uid: %d gid: %d)", verb, d.Command, uid, gid)
}
