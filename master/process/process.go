// Package process holds what the master knows of each process: the place that it fills,
// the state of that place, and the zygote that fills it on orders.
//
// Nothing here starts a goroutine or asks the operating system, except through OS. All
// functions are for the one goroutine that owns the master's state.
package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNotOurs is returned for a process that this one has not forked, or that is gone.
var ErrNotOurs = errors.New("it is no child of this process")

// Process is a child of this process.
type Process interface {
	PID() int
	// Signal sends a signal; os.ErrProcessDone when the process has ended. It never reaches another process.
	Signal(s syscall.Signal) error
	// Wait waits for the end. It may be called once, from any goroutine.
	Wait() (Exit, error)
	// Release gives up the hold of a process that is not waited for. After Wait it does nothing.
	Release()
}

// OS is what the state machines need of the operating system.
type OS interface {
	// Adopt returns the child with that number, to be waited for or released; ErrNotOurs if there is none.
	Adopt(pid int) (Process, error)
	// Orphans finds what a zygote that has ended has left of an import, likewise to be released.
	Orphans(of Import, known func(pid int) bool) []Process
}

// Exit is how a process has ended.
type Exit struct {
	Status int            // what it passed to exit; 0 if a signal ended it
	Signal syscall.Signal // what ended it; 0: it ended by itself
}

// String is the exit as a person reads it.
func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %d, %v", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Status)
}

// Linux is the OS of this machine.
type Linux struct{}

// Adopt looks whether pid is a child before it takes hold of it by a pidfd.
func (Linux) Adopt(pid int) (Process, error) {
	if pid <= 0 || unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil {
		return nil, fmt.Errorf("process %d: %w", pid, ErrNotOurs)
	}
	found, err := os.FindProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return &child{found}, nil
}

type child struct{ process *os.Process }

func (c *child) PID() int { return c.process.Pid }

func (c *child) Signal(s syscall.Signal) error { return c.process.Signal(s) }

func (c *child) Release() { _ = c.process.Release() } // it holds a pidfd, which nothing else would close soon

func (c *child) Wait() (Exit, error) {
	state, err := c.process.Wait()
	if err != nil {
		return Exit{}, fmt.Errorf("waiting for process %d: %w", c.process.Pid, err)
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return Exit{Signal: status.Signal()}, nil
	}
	return Exit{Status: status.ExitStatus()}, nil
}
