package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestHookActions(t *testing.T) {
	tests := []struct {
		name    string
		actions string // one a line
		want    map[string]string
		fails   string
	}{
		{"files", "mkdir:d\ncd:d\nwrite:w old\nwrite:w new text\nwriten:n line\nappend:a 1\nappend:a  2\nappendn:n more\ncreate:gone\nunlink:gone",
			map[string]string{"d/w": "new text", "d/n": "line\nmore\n", "d/a": "1 2"}, ""},
		{"commands", "putenv:HOOK_VARIABLE=seen\nexec:printf %s $HOOK_VARIABLE > env", map[string]string{"env": "seen"}, ""},
		{"mode", "create:m\nchmod:m 000\nchmod:m 640\nchown:m 0:0", map[string]string{"m": ""}, ""},
		{"command fails", "exec:exit 3", nil, "exited with non-zero code: 3"},
		{"safe command fails", "safeexec:exit 3\ncreate:after", map[string]string{"after": ""}, ""},
		{"no text", "write:file", nil, "no second part"},
		{"no file", "unlink:no/such", nil, "no such file"},
		{"no colon", "nothing", nil, "invalid hook"},
		{"unknown", "dance:now", nil, "not found: dance"},
		{"directory", "cd:missing", nil, "no such file"},
		{"function", "unix_signal:15 dance", nil, "no function"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("HOOK_VARIABLE", "")
			dir := t.TempDir()
			s := Settings{StartDir: dir, Dir: dir}
			for line := range strings.SplitSeq(test.actions, "\n") {
				s.Hooks = append(s.Hooks, uwsgiopts.Hook{Phase: "asap", Text: line})
			}
			err := New(&fakeHost{}).Run(context.Background(), s, "asap")
			if test.fails == "" && err != nil || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
				t.Fatalf("error %v, want %q", err, test.fails)
			}
			for name, want := range test.want {
				if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
					t.Errorf("%s: %q, %v", name, text, err)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "d/gone")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("unlink: %v", err)
			}
		})
	}
}

// fakeHost runs commands without commandStarter, and keeps what it is asked for.
type fakeHost struct {
	running sync.WaitGroup
	posted  chan func()
	did     []string
}

func (h *fakeHost) Run(ctx context.Context, text, dir string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Dir = dir
	var status *exec.ExitError
	if err := cmd.Run(); errors.As(err, &status) {
		return fmt.Errorf("command %q exited with non-zero code: %d", text, status.ExitCode())
	} else if err != nil {
		return err
	}
	return nil
}

func (h *fakeHost) Raise(alarm string, text []byte) { h.did = append(h.did, alarm+" "+string(text)) }

func (h *fakeHost) Map(s syscall.Signal, function string) {
	h.did = append(h.did, s.String()+" "+function)
}

func (h *fakeHost) Go(do func()) { h.running.Go(do) }

func (h *fakeHost) Post(do func()) { h.posted <- do }

func (h *fakeHost) Logf(string, ...any) {}

func hook(phase, text string) uwsgiopts.Hook { return uwsgiopts.Hook{Phase: phase, Text: text} }

func TestHooksRunBeforeCommandsOfTheirPhaseAlone(t *testing.T) {
	dir := t.TempDir()
	s := Settings{Dir: dir, Hooks: []uwsgiopts.Hook{
		{Phase: "pre-app", Command: true, Text: "echo command >> order"}, hook("pre-app", "appendn:order hook"), hook("asap", "appendn:order other")}}
	if err := New(&fakeHost{}).Run(context.Background(), s, "pre-app"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "order")); err != nil || string(text) != "hook\ncommand\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestHooksThatActOnTheInstance(t *testing.T) {
	h := &fakeHost{}
	s := Settings{StartDir: t.TempDir(), Hooks: []uwsgiopts.Hook{
		hook("asap", "unix_signal:15 gracefully_kill_them_all"), hook("asap", "alarm:fire in the house"), hook("asap", "exit:17")}}
	if err := New(h).Run(context.Background(), s, "asap"); Status(err, 1) != 17 {
		t.Errorf("status %d of %v", Status(err, 1), err)
	}
	if want := []string{"terminated gracefully_kill_them_all", "fire in the house"}; !slices.Equal(h.did, want) {
		t.Errorf("%q", h.did)
	}
}

func TestWhereACdLeadsTheNextPhasesGo(t *testing.T) {
	dir := t.TempDir()
	s := Settings{StartDir: dir, Dir: dir, Hooks: []uwsgiopts.Hook{hook("asap", "mkdir:sub"), hook("asap", "cd:sub"), hook("as-user", "create:here")}}
	r := New(&fakeHost{})
	for _, phase := range []string{"asap", "as-user"} {
		if err := r.Run(context.Background(), s, phase); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "sub/here")); err != nil || r.Dir("") != filepath.Join(dir, "sub") {
		t.Errorf("%q, %v", r.Dir(""), err)
	}
}

func TestStartedHooksHoldUpNobody(t *testing.T) {
	h := &fakeHost{posted: make(chan func())}
	r := New(h)
	s := Settings{Dir: t.TempDir(), Hooks: []uwsgiopts.Hook{hook("as-user-atexit", "exec:exec sleep 1000")}}
	cancelled, cancel := context.WithCancel(context.Background())
	for name, c := range map[string]struct {
		ctx     context.Context
		timeout time.Duration
		end     func()
	}{"deadline": {context.Background(), time.Millisecond, func() {}}, "cancelled": {cancelled, time.Hour, cancel}} {
		var ended error
		r.Start(c.ctx, s, []string{"as-user-atexit"}, c.timeout, func(err error) { ended = err })
		c.end()
		if (<-h.posted)(); ended == nil {
			t.Fatalf("%s: no error", name)
		}
	}
	called := false
	if r.Start(cancelled, s, []string{"asap"}, 0, func(error) { called = true }); !called {
		t.Error("where there is no hook, nothing follows")
	}
	h.running.Wait()
}
