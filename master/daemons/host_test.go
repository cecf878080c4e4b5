package daemons

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// fakeHost has a clock that stands until it is moved, and processes that end when they are told to.
type fakeHost struct {
	t      *testing.T
	now    time.Time
	timers []timer
	pid    int // of the newest process
	alive  map[int]*fakeProcess
	did    []string // what was started, killed, logged
	ending bool
	fails  bool // no process can be started

	refuses error // what starts fail of; nil: they do not

	orphaned map[int]bool // groups of which children are left
}

type timer struct {
	at time.Time
	do func()
}

type fakeProcess struct {
	cmd   *exec.Cmd
	ended func()
}

func newHost(t *testing.T) *fakeHost {
	return &fakeHost{t: t, now: time.Unix(1e9, 0), pid: 100, alive: map[int]*fakeProcess{}, orphaned: map[int]bool{}}
}

func (h *fakeHost) Start(cmd *exec.Cmd, ended func()) (int, error) {
	if h.fails {
		return 0, errors.New("cannot fork")
	}
	if h.refuses != nil {
		return 0, h.refuses
	}
	h.pid++
	h.alive[h.pid] = &fakeProcess{cmd, ended}
	h.note("start %d %s", h.pid, cmd.Args[2])
	return h.pid, nil
}

func (h *fakeHost) Kill(pid int, signal syscall.Signal) error {
	h.note("kill %d %d", pid, int(signal))
	return nil
}

func (h *fakeHost) GroupLives(group int) bool { return h.alive[group] != nil || h.orphaned[group] }

func (h *fakeHost) Output() (*os.File, error) { return nil, nil }

func (h *fakeHost) Credential(uid, gid string) (*syscall.Credential, error) {
	if uid == "none" {
		return nil, errors.New("there is no such user")
	}
	if uid == "other" {
		return &syscall.Credential{Uid: 8}, nil
	}
	return &syscall.Credential{Uid: 7}, nil
}

func (h *fakeHost) Now() time.Time { return h.now }

func (h *fakeHost) After(wait time.Duration, do func()) {
	if wait <= 0 {
		do()
		return
	}
	h.timers = append(h.timers, timer{h.now.Add(wait), do})
}

func (h *fakeHost) Ending() bool { return h.ending }

func (h *fakeHost) Stop() { h.note("stop"); h.ending = true }

func (h *fakeHost) Logf(format string, args ...any) { h.note("log "+format, args...) }

func (h *fakeHost) note(format string, args ...any) {
	h.did = append(h.did, fmt.Sprintf(format, args...))
}

// end ends a process.
func (h *fakeHost) end(pid int) {
	h.t.Helper()
	p := h.alive[pid]
	if p == nil {
		h.t.Fatalf("process %d does not run", pid)
	}
	delete(h.alive, pid)
	if p.ended != nil {
		p.ended()
	}
}

// pass lets time pass.
func (h *fakeHost) pass(span time.Duration) {
	h.now = h.now.Add(span)
	due := h.timers
	h.timers = nil
	for _, one := range due {
		if one.at.After(h.now) {
			h.timers = append(h.timers, one)
		} else {
			one.do()
		}
	}
}

// wants compares what was done since the last call, without the lines of the log.
func (h *fakeHost) wants(want ...string) {
	h.t.Helper()
	did := slices.DeleteFunc(h.did, func(s string) bool { return len(s) > 4 && s[:4] == "log " })
	h.did = nil
	if !slices.Equal(did, want) {
		h.t.Fatalf("did %q, not %q", did, want)
	}
}

// said is what the log says from the last call of wants on.
func (h *fakeHost) said(line string) bool { return slices.Contains(h.did, "log [uwsgi-daemons] "+line) }
