package master

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

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
			cfg := &uwsgiopts.Config{StartDir: dir}
			for line := range strings.SplitSeq(test.actions, "\n") {
				cfg.Hooks = append(cfg.Hooks, uwsgiopts.Hook{Phase: "asap", Text: line})
			}
			h := &hooks{commands: newCommands()}
			defer h.commands.close()
			err := h.run(context.Background(), cfg, "asap")
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

func TestHooksRunBeforeCommandsOfTheirPhaseAlone(t *testing.T) {
	dir := t.TempDir()
	h := &hooks{commands: newCommands()}
	defer h.commands.close()
	cfg := &uwsgiopts.Config{StartDir: dir, SupervisedConfig: uwsgiopts.SupervisedConfig{Hooks: []uwsgiopts.Hook{
		{Phase: "pre-app", Command: true, Text: "echo command >> order"},
		{Phase: "pre-app", Text: "appendn:order hook"},
		{Phase: "asap", Text: "appendn:order other"},
	}}}
	if err := h.run(context.Background(), cfg, "pre-app"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "order")); err != nil || string(text) != "hook\ncommand\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestHooksThatActOnTheMaster(t *testing.T) {
	var mapped []string
	h := &hooks{commands: newCommands(), remap: func(s syscall.Signal, name string) { mapped = append(mapped, s.String()+" "+name) }}
	defer h.commands.close()
	cfg := &uwsgiopts.Config{StartDir: t.TempDir(), SupervisedConfig: uwsgiopts.SupervisedConfig{Hooks: []uwsgiopts.Hook{
		{Phase: "asap", Text: "unix_signal:15 gracefully_kill_them_all"}, {Phase: "asap", Text: "exit:17"}}}}
	if err := h.run(context.Background(), cfg, "asap"); hookStatus(err) != 17 {
		t.Errorf("status %d of %v", hookStatus(err), err)
	}
	if want := []string{"terminated gracefully_kill_them_all"}; !slices.Equal(mapped, want) {
		t.Errorf("%q", mapped)
	}
}
