package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"

	"envoxyd/internal/paths"
)

// commands are the processes beside zygotes and workers that the master starts and
// waits for. Its zero value is not ready: see newCommands.
type commands struct {
	ctx     context.Context // ends with the master
	end     context.CancelFunc
	running sync.WaitGroup
	shells  []string                                              // of --binsh: the first that is there runs commands
	output  atomic.Pointer[func(source string) (*os.File, error)] // where goes what they write; nil: where ours does

	mu   sync.Mutex
	pids map[int]bool
}

func newCommands(shells ...string) *commands {
	c := &commands{pids: map[int]bool{}, shells: shells}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// has tells whether somebody waits for the process.
func (c *commands) has(pid int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pids[pid]
}

// start starts a process and keeps it from being taken for a stranger's. The caller waits with wait.
func (c *commands) start(cmd *exec.Cmd) error {
	if cmd.Path == paths.DefaultShell { // of daemons and loggers too
		cmd.Path = paths.Shell(c.shells)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.pids[cmd.Process.Pid] = true
	return nil
}

func (c *commands) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pids, cmd.Process.Pid)
	return err
}

// close ends what is running and waits for it.
func (c *commands) close() {
	c.end()
	c.running.Wait()
}

// shell is a command for the shell with our output and no input.
func (c *commands) shell(ctx context.Context, text, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, paths.DefaultShell, "-c", text)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = c.stdio("command")
	return cmd
}

// stdio is the standard output and error of commands and companions; source is what the log calls them.
func (c *commands) stdio(source string) (out, err *os.File) {
	if output := c.output.Load(); output != nil {
		if file, err := (*output)(source); err == nil { // without sockets for it the rest of the log has what they write
			return file, file
		}
	}
	return os.Stdout, os.Stderr
}

// commandStarter are the commands as the log knows them.
type commandStarter struct{ c *commands }

// Start starts a command.
func (b commandStarter) Start(cmd *exec.Cmd) error { return b.c.start(cmd) }

// Wait waits for a command.
func (b commandStarter) Wait(cmd *exec.Cmd) error { return b.c.wait(cmd) }

// run runs a shell command to its end.
func (c *commands) run(ctx context.Context, text, dir string) error {
	cmd := c.shell(ctx, text, dir)
	err := c.start(cmd)
	if err == nil {
		err = c.wait(cmd)
	}
	var status *exec.ExitError
	if errors.As(err, &status) {
		if s, ok := status.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return fmt.Errorf("command %q was killed by signal %d", text, s.Signal())
		}
		return fmt.Errorf("command %q exited with non-zero code: %d", text, status.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("command %q: %w", text, err)
	}
	return nil
}
