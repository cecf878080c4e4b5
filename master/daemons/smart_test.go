package daemons

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	if pid, err := d.named(); pid != 0 || err != nil {
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
		if got, err := d.named(); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

// runAs writes this process's pid, or none, into the pidfile.
func runAs(t *testing.T, d *smartDaemon, pid int) {
	t.Helper()
	if err := os.WriteFile(d.path, []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASmartDaemonIsStartedOnceAndLeftAlone(t *testing.T) {
	h := newHost(t)
	s := NewSmart(h)
	given := Settings{Dir: t.TempDir(), Daemons: []uwsgiopts.Daemon{{Command: "run", Pidfile: "pid", Freq: 1, StopSignal: term, ReloadSignal: 1}}}
	s.Replace(given)
	h.wants("start 101 run")
	if cmd := h.alive[101].cmd; cmd.SysProcAttr.Pdeathsig != 0 {
		t.Error("it would end with the instance")
	}
	d := s.all[0]
	runAs(t, d, os.Getpid()) // it has put itself into the background
	h.pass(time.Second)
	s.Poll(h.now)
	s.Replace(given) // a reload
	h.wants("kill " + strconv.Itoa(os.Getpid()) + " 1")
	if got := s.Status(); s.all[0] != d || !slices.Equal(got, []Status{{"run", os.Getpid(), 0}}) {
		t.Fatalf("%+v", got)
	}
	s.Restart(0)
	runAs(t, d, 0)
	s.Poll(h.now)
	h.wants("kill " + strconv.Itoa(os.Getpid()) + " 15")
	h.pass(time.Second)
	s.Poll(h.now)
	h.wants("start 102 run")
	h.ending = true
	h.pass(time.Minute)
	s.Poll(h.now)
	h.wants()
}

func TestAForegroundDaemonGetsItsPidfile(t *testing.T) {
	h := newHost(t)
	s := NewSmart(h)
	s.Replace(Settings{Dir: t.TempDir(), Daemons: []uwsgiopts.Daemon{{Command: "run", Pidfile: "pid", Daemonize: true}}})
	if text, err := os.ReadFile(s.all[0].path); err != nil || string(text) != "101\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTheEndOfASmartControlDaemonEndsTheInstance(t *testing.T) {
	h := newHost(t)
	s := NewSmart(h)
	s.Replace(Settings{Dir: t.TempDir(), Daemons: []uwsgiopts.Daemon{{Command: "run", Pidfile: "pid", Control: true}}})
	runAs(t, s.all[0], os.Getpid())
	h.pass(time.Second)
	s.Poll(h.now)
	runAs(t, s.all[0], 0)
	h.pass(time.Second)
	s.Poll(h.now)
	h.wants("start 101 run", "stop")
}
