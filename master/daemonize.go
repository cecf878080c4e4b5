package master

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/paths"
	"envoxyd/master/logging"
	"envoxyd/uwsgiopts"
)

// daemonVariable marks the process that daemonize has started; it never reaches workers.
const daemonVariable = "ENVOXYD_DAEMON"

// daemonize starts this command line again in a session of its own, logging to the
// file of --daemonize or --daemonize2. done: this process has nothing else to do.
// With --daemonize2 it waits until the daemon serves or has failed. A vassal stays where its emperor has started it, and only
// logs there.
func daemonize(cfg *uwsgiopts.Config) (status int, done bool) {
	path, wait := cfg.Daemonize, false
	if path == "" {
		path, wait = cfg.Daemonize2, true
	}
	if path == "" || os.Getenv(daemonVariable) != "" || os.Getenv(emperorlink.Variable) != "" {
		return 0, false
	}
	if uwsgiopts.IsLogAddress(path) { // the daemon sends its lines itself
		path = os.DevNull
	}
	log, err := logging.OpenFile(paths.In(cfg.StartDir, path), 0)
	if err != nil && logging.Unwritable(err) { // the daemon opens it as soon as that is possible
		log, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "daemonize: %v\n", err)
		return statusFailed, true
	}
	defer log.Close()
	news, tell, err := os.Pipe()
	if err != nil {
		fmt.Fprintf(os.Stderr, "daemonize: %v\n", err)
		return statusFailed, true
	}
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	cmd := exec.Command(executable)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), daemonVariable+"=1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if wait {
		cmd.Env = append(cmd.Env, readyVariable+"=3")
		cmd.ExtraFiles = []*os.File{tell}
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "daemonize: %v\n", err)
		return statusFailed, true
	}
	tell.Close()
	if !wait {
		return statusOK, true
	}
	var word [1]byte
	if _, err := io.ReadFull(news, word[:]); err == nil {
		return statusOK, true
	}
	_ = cmd.Wait() // it has closed the pipe without a word: it is ending
	return cmd.ProcessState.ExitCode(), true
}

// readyVariable holds the descriptor on which --daemonize2's parent waits.
const readyVariable = "ENVOXYD_READY_FD"

// tellParent says to the process that ran --daemonize2 that the daemon serves.
func tellParent() {
	if os.Getenv(readyVariable) != "3" {
		return
	}
	os.Unsetenv(readyVariable)
	file := os.NewFile(3, "ready")
	_, _ = file.Write([]byte{1}) // a parent that did not wait does not read it
	file.Close()
}
