package master

import (
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

func TestAProcessIsKnownByItsPidfile(t *testing.T) {
	dir := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = zombie.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; { // until it has ended, unwaited for
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(zombie.Process.Pid) + "/stat")
		if err == nil && strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no zombie: %s, %v", stat, err)
		}
	}
	d := &smartDaemon{path: filepath.Join(dir, "pid")}
	if d.running() != 0 {
		t.Error("without a pidfile something runs")
	}
	for text, want := range map[string]int{
		strconv.Itoa(os.Getpid()) + "\n":        os.Getpid(),
		strconv.Itoa(dead.Process.Pid):          0,
		strconv.Itoa(zombie.Process.Pid) + "\n": 0,
		"":                                      0,
		"-1\n":                                  0,
		"0":                                     0,
		"nonsense":                              0,
	} {
		if err := os.WriteFile(d.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := d.running(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestASmartDaemonIsStartedOnceAndLeftAlone(t *testing.T) {
	m := &master{events: make(chan event), commands: newCommands()}
	m.hooks = m.newHooks()
	m.cfg = &uwsgiopts.Config{StartDir: t.TempDir()}
	m.cfg.Smart = []uwsgiopts.Daemon{{Command: "exec sleep 60", Pidfile: "pid", Daemonize: true, Freq: 1, StopSignal: 15}}
	m.smart.follow(m, m.cfg)
	d := m.smart[0]
	if d.pid == 0 || d.running() != d.pid {
		t.Fatalf("it does not run: %d", d.pid)
	}
	first := d.pid
	m.smart.follow(m, m.cfg) // a reload
	m.smart.look(m, time.Now().Add(time.Hour))
	if m.smart[0] != d || d.spawned != 1 || d.pid != first {
		t.Fatalf("it was started %d times", d.spawned)
	}
	d.restart()
	for deadline := time.Now().Add(10 * time.Second); d.running() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	m.smart.look(m, time.Now().Add(time.Hour))
	if d.spawned != 2 || d.pid == first || d.running() != d.pid {
		t.Fatalf("it was not started anew: %d", d.pid)
	}
	m.stopping = true
	if err := syscall.Kill(d.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); d.running() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	m.smart.look(m, time.Now().Add(time.Hour))
	if d.spawned != 2 {
		t.Error("it was started during the stop")
	}
}
