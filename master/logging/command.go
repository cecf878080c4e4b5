package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Processes starts and waits for commands; the master has them all in its books.
type Processes interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// commandPause is the least time between two starts of a command that ends.
const commandPause = time.Second

// command writes records to the standard input of a shell command, which is started
// again when it has ended.
type command struct {
	text, dir string
	processes Processes
	input     io.WriteCloser
	ended     chan error
	started   time.Time
}

func (c *command) start() error {
	if wait := commandPause - time.Since(c.started); wait > 0 {
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
	ended := make(chan error, 1)
	go func() { ended <- c.processes.Wait(cmd) }() // ends with the command
	c.input, c.ended = input, ended
	return nil
}

func (c *command) write(b *batch) (lost int, err error) {
	return b.each(func(record []byte) error {
		for range 2 {
			if c.input == nil {
				if err := c.start(); err != nil {
					return err
				}
			}
			if _, err = c.input.Write(record); err == nil {
				return nil
			}
			_ = c.input.Close()
			c.input = nil
		}
		return err
	})
}

// close lets the command come to its end by itself.
func (c *command) close() error {
	if c.input == nil {
		return nil
	}
	err := c.input.Close()
	var status *exec.ExitError
	if ended := <-c.ended; !errors.As(ended, &status) {
		err = errors.Join(err, ended)
	}
	return err
}
