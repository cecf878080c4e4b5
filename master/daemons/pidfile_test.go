package daemons

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

// oneSmart is a smart daemon that has been started, with its host.
func oneSmart(t *testing.T, given uwsgiopts.Daemon) (*fakeHost, *Smart, *smartDaemon) {
	t.Helper()
	h := newHost(t)
	s := NewSmart(h)
	given.Command, given.Pidfile, given.StopSignal = "run", "pid", term
	s.Replace(Settings{Dir: t.TempDir(), Daemons: []uwsgiopts.Daemon{given}})
	h.wants("start 101 run")
	return h, s, s.all[0]
}

// poll lets seconds pass, one after the other.
func (h *fakeHost) poll(s *Smart, seconds int) {
	for range seconds {
		h.pass(time.Second)
		s.Poll(h.now)
	}
}

func TestACommandThatStaysInTheForegroundIsNotStartedTwice(t *testing.T) {
	h, s, _ := oneSmart(t, uwsgiopts.Daemon{Freq: 1})
	h.poll(s, 20)
	if !h.said(`"run" (pid: 101) did not daemonize !!!`) {
		t.Errorf("%q", h.did)
	}
	if got := s.Status(); got[0].PID != 101 {
		t.Errorf("%+v", got)
	}
	h.wants()
	s.Stop() // nobody would find it again
	s.Stop()
	h.wants("kill -101 15")
}

func TestThePidfileOfADaemonHasItsTime(t *testing.T) {
	h, s, d := oneSmart(t, uwsgiopts.Daemon{Freq: 5})
	h.end(101)
	h.poll(s, 4)
	h.wants()
	runAs(t, d, os.Getpid())
	h.poll(s, 1)
	if !h.said(`found changed pid for "run" (old_pid: 101 new_pid: ` + strconv.Itoa(os.Getpid()) + `)`) {
		t.Errorf("%q", h.did)
	}
	h.poll(s, 20)
	h.wants()
}

func TestADaemonWithoutAPidfileIsStartedEverMoreSlowly(t *testing.T) {
	h, s, _ := oneSmart(t, uwsgiopts.Daemon{Freq: 1, MaxThrottle: 2})
	h.end(101)
	h.poll(s, 1)
	if !h.said(`found changed pidfile for "run" (old_pid: 101 new_pid: -1)`) || !h.said(`throttling "run" for 1 seconds`) {
		t.Errorf("%q", h.did)
	}
	h.wants()
	h.poll(s, 1)
	h.wants("start 102 run")
	h.end(102)
	h.poll(s, 2)
	h.wants()
	h.poll(s, 1)
	h.wants("start 103 run")
}

func TestAForegroundDaemonKeepsItsPidfile(t *testing.T) {
	h, s, d := oneSmart(t, uwsgiopts.Daemon{Freq: 10, Daemonize: true})
	if err := os.Remove(d.path); err != nil {
		t.Fatal(err)
	}
	h.poll(s, 1)
	if text, err := os.ReadFile(d.path); string(text) != "101\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	h.pass(time.Minute)
	h.end(101)
	runAs(t, d, 0) // the fake's number may be a real process's
	s.Poll(h.now)
	h.wants("start 102 run") // it is not waited for the next look
}

func TestTheEndOfTheInstanceIsToldToThoseThatWantToKnow(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		given uwsgiopts.Daemon
		leave func(*Smart)
		want  []string
	}{
		{uwsgiopts.Daemon{}, (*Smart).Stop, nil},
		{uwsgiopts.Daemon{Notify: true, ReloadSignal: 1}, (*Smart).Stop, []string{"kill " + self + " 15"}},
		{uwsgiopts.Daemon{Notify: true, ReloadSignal: 1}, (*Smart).HandOver, []string{"kill " + self + " 1"}},
		{uwsgiopts.Daemon{}, (*Smart).HandOver, nil},
	} {
		h, s, d := oneSmart(t, c.given)
		runAs(t, d, os.Getpid())
		h.poll(s, 1)
		c.leave(s)
		h.wants(c.want...)
	}
}

func TestAPidfileNamesNobodyElsesProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	theirs := exec.Command("sleep", "1000")
	theirs.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 8, Gid: 8}}
	if err := theirs.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Process.Kill(); _ = theirs.Wait() }()
	for user, want := range map[string]int{"": theirs.Process.Pid, "somebody": 0, "other": theirs.Process.Pid} {
		s := NewSmart(newHost(t))
		d := &smartDaemon{path: filepath.Join(t.TempDir(), "pid"), Daemon: uwsgiopts.Daemon{UID: user}}
		runAs(t, d, theirs.Process.Pid)
		if pid, err := s.running(d); pid != want || err != nil {
			t.Errorf("uid %q: %d, %v", user, pid, err)
		}
	}
}

func TestAPidfileThatCannotBeReadStartsNothing(t *testing.T) {
	h := newHost(t)
	s := NewSmart(h)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pid"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Replace(Settings{Dir: dir, Daemons: []uwsgiopts.Daemon{{Command: "run", Pidfile: "pid"}}})
	if !h.said(`"run" cannot be found: read ` + dir + `/pid: is a directory`) {
		t.Errorf("%q", h.did)
	}
	h.poll(s, 20)
	h.wants()
}
