package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Processes starts and waits for commands; the master has them all in its books.
type Processes interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// A command that ends is started again after commandPause at the earliest. One that is to end
// sees the end of its input; after lastLines its process group gets TERM, after termTime KILL.
const (
	commandPause = time.Second
	lastLines    = 3 * time.Second
	termTime     = time.Second
)

// command writes records to the standard input of a shell command, which is started
// again when it has ended.
type command struct {
	text, dir string
	processes Processes
	lastLines time.Duration
	current   *commandProcess // nil: there is none
	started   time.Time

	leaving sync.WaitGroup // processes that do not read any more
	group   atomic.Int64   // the current process's; 0: there is none
	killed  atomic.Bool    // none is started any more
}

// commandProcess is one process of a command.
type commandProcess struct {
	pid   int
	input io.WriteCloser
	ended chan struct{} // closed after its end
	err   error         // how it ended
}

func newCommand(text, dir string, processes Processes) *command {
	return &command{text: text, dir: dir, processes: processes, lastLines: lastLines}
}

func (c *command) start() error {
	if wait := commandPause - time.Since(c.started); wait > 0 || c.killed.Load() {
		return fmt.Errorf("%q has ended", c.text)
	}
	c.started = time.Now()
	cmd := exec.Command("/bin/sh", "-c", c.text)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Control-C for us must not end it before the last line
	input, err := cmd.StdinPipe()
	if err == nil {
		err = c.processes.Start(cmd)
	}
	if err != nil {
		return err
	}
	p := &commandProcess{pid: cmd.Process.Pid, input: input, ended: make(chan struct{})}
	go func() { // ends with the command
		p.err = c.processes.Wait(cmd)
		close(p.ended)
	}()
	c.current = p
	c.group.Store(int64(p.pid))
	return nil
}

func (c *command) write(b *batch) (lost int, err error) {
	return b.each(func(record []byte) error {
		for range 2 {
			if c.current == nil {
				if err := c.start(); err != nil {
					return err
				}
			}
			if _, err = c.current.input.Write(record); err == nil {
				return nil
			}
			p := c.current
			c.current = nil
			c.leaving.Go(func() { _ = p.finish(c.lastLines) }) // most have ended by themselves
		}
		return err
	})
}

// close lets the command come to its end by itself, but not for ever.
func (c *command) close() (err error) {
	if c.current != nil {
		err = c.current.finish(c.lastLines)
	}
	c.leaving.Wait()
	return err
}

// kill ends a command that does not read, for whoever waits in write or close.
func (c *command) kill() {
	c.killed.Store(true)
	if group := int(c.group.Load()); group > 0 {
		_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended
	}
}

// finish closes the input and sees to it that the process ends.
func (p *commandProcess) finish(lastLines time.Duration) error {
	err := p.input.Close()
	timeout := time.NewTimer(lastLines)
	defer timeout.Stop()
	select {
	case <-p.ended:
	case <-timeout.C:
		p.killGroup()
	}
	<-p.ended
	var status *exec.ExitError
	if !errors.As(p.err, &status) {
		err = errors.Join(err, p.err)
	}
	return err
}

// killGroup asks the process and its children to end, and kills those that do not. The
// process itself, mostly a shell, may end before them.
func (p *commandProcess) killGroup() {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM) // it may have ended
	for end := time.Now().Add(termTime); time.Now().Before(end); time.Sleep(termTime / 100) {
		if syscall.Kill(-p.pid, 0) != nil {
			return
		}
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // it may have ended
}
