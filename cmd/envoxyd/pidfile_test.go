package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// A pid below 2 would make kill(2) address a whole group, every process, or init.
func TestPidfilesThatNameNoProcessAreRefused(t *testing.T) {
	for _, text := range []string{"", "\n", "0\n", "1", "-1", "-20", "text", "12x", "99999999999999999999"} {
		if pid, err := readPidfile(write(t, text)); err == nil {
			t.Errorf("%q is read as process %d", text, pid)
		}
		action := &uwsgiopts.Action{Kind: uwsgiopts.ActionSignal, Option: "stop", Pidfile: write(t, text)}
		if status := act(action); status != 1 {
			t.Errorf("%q: status %d", text, status)
		}
	}
	if pid, err := readPidfile(write(t, " 4711\n")); err != nil || pid != 4711 {
		t.Errorf("4711 is read as %d, %v", pid, err)
	}
}

func TestStatusesOfControlActions(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		pidfile string
		status  int
	}{
		{"missing pidfile", filepath.Join(t.TempDir(), "none"), 1},
		{"dead process", write(t, strconv.Itoa(gone.Process.Pid)), 255},
	}
	for _, tt := range tests {
		for _, option := range []string{"stop", "reload", "pause", "suspend", "resume"} {
			action := &uwsgiopts.Action{Kind: uwsgiopts.ActionSignal, Option: option, Pidfile: tt.pidfile}
			if status := act(action); status != tt.status {
				t.Errorf("%s, --%s: status %d, want %d", tt.name, option, status, tt.status)
			}
		}
	}
	if status := act(&uwsgiopts.Action{Status: 7}); status != 7 {
		t.Errorf("an exit with 7 is %d", status)
	}
}

// shell starts a script that prints a line when it is ready.
func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && err != os.ErrProcessDone {
			t.Error(err)
		}
		_ = cmd.Wait() // killed: its status means nothing
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestControlActionsSendTheirSignals(t *testing.T) {
	for option, name := range map[string]string{"stop": "INT", "reload": "HUP", "pause": "TSTP", "suspend": "TSTP", "resume": "TSTP"} {
		done := filepath.Join(t.TempDir(), "done")
		cmd := shell(t, fmt.Sprintf("trap ': > %s; exit 0' %s; echo ready; while :; do sleep 0.01; done", done, name))
		action := &uwsgiopts.Action{Kind: uwsgiopts.ActionSignal, Option: option, Pidfile: write(t, strconv.Itoa(cmd.Process.Pid))}
		if status := act(action); status != 0 {
			t.Fatalf("--%s: status %d", option, status)
		}
		if err := waitFor(func() bool { _, err := os.Stat(done); return err == nil }); err != nil {
			t.Errorf("--%s: no SIG%s: %v", option, name, err)
		}
	}
}

func TestUpgradeWaitsForAnotherLivingProcess(t *testing.T) {
	pidfile := write(t, "")
	cmd := shell(t, fmt.Sprintf("trap 'echo %d > %s' USR2; echo ready; while :; do sleep 0.01; done", os.Getpid(), pidfile))
	if err := upgrade(pidfile, cmd.Process.Pid, 10*time.Second); err != nil {
		t.Error(err)
	}
}

func TestUpgradeFailsWhenNothingTakesOver(t *testing.T) {
	stays := shell(t, "trap : USR2; echo ready; while :; do sleep 0.01; done")
	pidfile := write(t, strconv.Itoa(stays.Process.Pid))
	if err := upgrade(pidfile, stays.Process.Pid, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not replaced") {
		t.Errorf("a master that stays: %v", err)
	}
	if err := upgrade(pidfile, 0x3fffff, time.Second); err == nil {
		t.Error("a process that is not there was upgraded")
	}
}

func TestAProcessOfAnotherUserIsAlive(t *testing.T) {
	if !alive(1) || !alive(os.Getpid()) {
		t.Error("a living process is said to be dead")
	}
}

// waitFor polls: the shell has no way of telling when its trap has run.
func waitFor(done func() bool) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if done() {
			return nil
		}
		if err := syscall.Nanosleep(&syscall.Timespec{Nsec: 5e6}, nil); err != nil && err != syscall.EINTR {
			return err
		}
	}
	return fmt.Errorf("nothing within 10 s")
}
