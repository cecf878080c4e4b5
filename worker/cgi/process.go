package cgi

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a program that runs, in a process group of its own. It dies with the worker.
type Process struct {
	command *exec.Cmd
	output  *os.File
	ended   chan struct{} // closed when the program has ended; err is set then
	err     error
}

// Start runs the program without a shell. body is its standard input, from where the file stands; nil: it is empty.
// What it writes to its standard error goes where the worker's does.
func (p *Program) Start(environ []string, body *os.File) (*Process, error) {
	output, end, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("CGI: %w", err)
	}
	defer end.Close()
	command := exec.Command(p.File)
	if p.Helper != "" {
		command = exec.Command(p.Helper, p.File)
	}
	command.Env, command.Dir, command.Stdout, command.Stderr = environ, p.Dir, end, os.Stderr
	if body != nil {
		command.Stdin = body
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		_ = output.Close()
		return nil, fmt.Errorf("CGI: %w", err)
	}
	r := &Process{command: command, output: output, ended: make(chan struct{})}
	go func() { // ends with the program; Wait waits for it
		if err := command.Wait(); !errors.Is(err, syscall.ECHILD) { // the application may wait for all of its process's children
			r.err = err
		}
		close(r.ended)
	}()
	return r, nil
}

// Read reads output; io.EOF when there will be no more, os.ErrDeadlineExceeded after the time of SetReadDeadline.
func (r *Process) Read(p []byte) (int, error) { return r.output.Read(p) }

// SetReadDeadline ends a Read that is under way or comes; it may be called by any goroutine.
func (r *Process) SetReadDeadline(t time.Time) error { return r.output.SetReadDeadline(t) }

// Ended tells whether the program has; what it has started may go on.
func (r *Process) Ended() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// Kill ends the program, if it runs, and what it has started in its process group.
func (r *Process) Kill() {
	if !r.Ended() { // else its number may be another one's by now
		_ = syscall.Kill(-r.command.Process.Pid, syscall.SIGKILL) // ESRCH: it has ended by itself
	}
}

// Close gives the output up: a program that goes on writing gets SIGPIPE.
func (r *Process) Close() { _ = r.output.Close() }

// Wait returns how the program has ended, nil for status 0. It is killed at the deadline; zero: there is none.
func (r *Process) Wait(deadline time.Time) error {
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), r.Kill)
		defer timer.Stop()
	}
	<-r.ended
	return r.err
}
