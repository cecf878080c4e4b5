package daemons

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/uwsgiopts"
)

const term = int(syscall.SIGTERM)

func settings(commands ...string) (s Settings) {
	for _, text := range commands {
		s.Daemons = append(s.Daemons, uwsgiopts.Daemon{Command: text, StopSignal: term})
	}
	s.Dir = "/srv"
	return s
}

func TestThrottle(t *testing.T) {
	for most, want := range map[int][]time.Duration{
		0: {time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second},
		2: {time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second},
	} {
		b := respawn.Backoff{Policy: throttle(most)}
		for n, wait := range want {
			if got := b.Ended(time.Second); got != wait {
				t.Errorf("at most %d, end %d: waits %v", most, n, got)
			}
		}
		if got := b.Ended(time.Minute); got != 0 {
			t.Errorf("after a minute: %v", got)
		}
	}
}

func TestADaemonThatEndsIsStartedAgainAfterAWhile(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("run"))
	h.wants("start 101 run")
	h.pass(time.Minute)
	h.end(101)
	h.wants("start 102 run") // it had lived for long
	h.end(102)
	h.pass(time.Second / 2)
	h.wants()
	h.pass(time.Second / 2)
	h.wants("start 103 run")
	h.end(103)
	h.pass(time.Second)
	h.wants()
	h.pass(time.Second)
	h.wants("start 104 run") // two seconds after the second short life
	if got := a.Status(); !slices.Equal(got, []Status{{"run", 104, 3}}) {
		t.Errorf("%+v", got)
	}
}

func TestADaemonThatCannotBeStartedIsTriedAgain(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	h.fails = true
	a.Replace(settings("run"))
	h.pass(time.Second)
	h.fails = false
	h.wants()
	h.pass(2 * time.Second)
	h.wants("start 101 run")
	wrong := settings("other")
	wrong.Daemons[0].UID = "none"
	a.Replace(wrong)
	h.end(101)
	h.wants("kill -101 15")
}

func TestDaemonsAreReplacedOnlyWhenTheLastOnesHaveGone(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("old", "old too"))
	a.Replace(settings("new"))
	h.wants("start 101 old", "start 102 old too", "kill -101 15", "kill -102 15")
	h.end(101)
	h.wants()
	h.end(102)
	h.wants("start 103 new")
}

func TestADaemonThatDoesNotEndIsKilled(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: defaultTimeout, 10 * time.Second: 10 * time.Second} {
		h := newHost(t)
		a := NewAttached(h)
		s := settings("deaf")
		s.Timeout = timeout
		a.Replace(s)
		h.ending = true
		a.Stop()
		a.Stop() // a second time makes no difference
		h.wants("start 101 deaf", "kill -101 15")
		h.pass(want)
		a.Enforce(h.now)
		h.wants()
		h.pass(time.Millisecond)
		a.Enforce(h.now)
		h.wants("kill -101 9")
		if a.Gone() {
			t.Error("it has not gone yet")
		}
		h.end(101)
		if h.pass(time.Hour); !a.Gone() {
			t.Error("it has gone")
		}
		h.wants()
	}
}

func TestATouchedDaemonStartsAnew(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("run"))
	h.pass(time.Minute)
	a.Restart(0)
	a.Restart(1) // there is none
	h.end(101)
	h.wants("start 101 run", "kill -101 15", "start 102 run")
}

func TestTheEndOfAControlDaemonEndsTheInstance(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	s := settings("run")
	s.Daemons[0].Control = true
	a.Replace(s)
	h.end(101)
	h.wants("start 101 run", "stop")
}

func TestHowADaemonIsStarted(t *testing.T) {
	h := newHost(t)
	s := settings("run")
	s.Daemons[0].Chdir, s.Daemons[0].UID = "sub", "somebody"
	NewAttached(h).Replace(s)
	cmd := h.alive[101].cmd
	if a := cmd.SysProcAttr; cmd.Dir != "/srv/sub" || !a.Setsid || a.Pdeathsig != syscall.SIGKILL || a.Credential.Uid != 7 || cmd.Stdin != nil {
		t.Errorf("%+v, %+v", cmd, cmd.SysProcAttr)
	}
}

func TestChildrenThatADaemonHasLeftBehindAreEndedAtTheStop(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("run"))
	h.orphaned[101] = true
	h.pass(time.Minute)
	h.end(101)
	h.wants("start 101 run", "start 102 run")
	h.pass(time.Minute)
	a.Enforce(h.now)
	h.wants() // until then they are left alone
	h.ending = true
	a.Stop()
	h.wants("kill -102 15", "kill -101 15")
	h.end(102)
	h.pass(defaultTimeout + 1)
	if a.Enforce(h.now); a.Gone() {
		t.Error("they have not gone yet")
	}
	h.wants("kill -101 9")
	delete(h.orphaned, 101)
	if a.Enforce(h.now); !a.Gone() {
		t.Error("they have gone")
	}
	h.wants()
}

func TestNewDaemonsWaitForChildrenOfTheOldOnes(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("old"))
	h.orphaned[101] = true
	a.Replace(settings("new"))
	h.end(101)
	h.wants("start 101 old", "kill -101 15")
	h.pass(defaultTimeout + 1)
	a.Enforce(h.now)
	h.wants("kill -101 9")
	delete(h.orphaned, 101)
	a.Enforce(h.now)
	h.wants("start 102 new")
}

func TestAnInstanceThatEndsByItselfEndsItsDaemons(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	a.Replace(settings("run"))
	h.ending = true // not by way of Stop
	a.Enforce(h.now)
	h.wants("start 101 run", "kill -101 15")
}

func TestASignalOfTheirOwnEndsDaemonsAtAReload(t *testing.T) {
	h := newHost(t)
	a := NewAttached(h)
	s := settings("run", "other")
	s.Daemons[0].ReloadSignal = int(syscall.SIGUSR1)
	a.Replace(s)
	a.Replace(s)
	h.wants("start 101 run", "start 102 other", "kill -101 10", "kill -102 15")
	h.end(101)
	h.end(102)
	a.Stop()
	h.wants("start 103 run", "start 104 other", "kill -103 15", "kill -104 15")
}

func TestADaemonInANamespaceOfItsOwn(t *testing.T) {
	h := newHost(t)
	s := settings("run")
	s.Daemons[0].PIDNamespace = true
	NewAttached(h).Replace(s)
	if a := h.alive[101].cmd.SysProcAttr; a.Cloneflags != syscall.CLONE_NEWPID || a.Pdeathsig != syscall.SIGKILL {
		t.Errorf("%+v", a)
	}
	h.refuses = syscall.EPERM
	NewAttached(h).Replace(s)
	if !h.said(`"run": ns_pid: operation not permitted: only root may make a namespace`) {
		t.Errorf("%q", h.did)
	}
}

func TestADaemonMayHaveTheInstancesInput(t *testing.T) {
	for _, all := range []bool{false, true} {
		h := newHost(t)
		s := settings("run", "other")
		s.Daemons[0].Stdin, s.Stdin = true, all
		NewAttached(h).Replace(s)
		if one, other := h.alive[101].cmd.Stdin, h.alive[102].cmd.Stdin; one != os.Stdin || (other == os.Stdin) != all {
			t.Errorf("%v, %v", one, other)
		}
	}
}
