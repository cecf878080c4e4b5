// Package hooks runs the actions of --hook-PHASE and the commands of --exec-PHASE.
//
// It knows no master: a Host runs commands and does what actions ask of the instance.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"envoxyd/uwsgiopts"
)

// Host is what hooks need of the program that they are hooks of. Its methods are called on
// any goroutine.
type Host interface {
	// Run runs a shell command to its end.
	Run(ctx context.Context, text, dir string) error
	// Raise raises an alarm.
	Raise(alarm string, text []byte)
	// Map has a signal do what uWSGI's function of that name does.
	Map(signal syscall.Signal, function string)
	// Go runs do on a goroutine that is waited for at the end.
	Go(do func())
	// Post has do called by the goroutine that owns the state, if there still is one.
	Post(do func())
	Logf(format string, args ...any)
}

// Settings are what a configuration says about hooks.
type Settings struct {
	Hooks    []uwsgiopts.Hook
	StartDir string // where the first phases run
	Dir      string // where the others do

	Again bool // a reload runs them again: what is mounted stays

	FileTimeout, SocketTimeout, InterfaceTimeout time.Duration // of the actions that wait
}

// SettingsOf are a configuration's; dir is where all but the first phases run.
func SettingsOf(cfg *uwsgiopts.Config, dir string) Settings {
	return Settings{Hooks: cfg.Hooks, StartDir: cfg.StartDir, Dir: dir,
		FileTimeout: cfg.WaitForFiles, SocketTimeout: cfg.WaitForSockets, InterfaceTimeout: cfg.WaitForInterfaces}
}

// Exit is the error of the action exit.
type Exit struct{ Status int }

// Error says what was asked for.
func (e Exit) Error() string {
	return fmt.Sprintf("a hook ends the start with status %d", e.Status)
}

// Status is what the instance ends with when a hook has failed: a status of the hook's
// choice, or else another.
func Status(err error, otherwise int) int {
	var exit Exit
	if errors.As(err, &exit) {
		return exit.Status
	}
	return otherwise
}

// Runner runs hooks. The action cd of one is what the next ones start from, and so does the
// application.
type Runner struct {
	host Host

	mu    sync.Mutex
	moved string // where a cd has led; "": there was none
}

// New returns a Runner whose hooks start from the beginning.
func New(host Host) *Runner { return &Runner{host: host} }

// Dir is the directory that a cd has led to, or else another.
func (r *Runner) Dir(otherwise string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved != "" {
		return r.moved
	}
	return otherwise
}

func (r *Runner) move(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = dir
}

// Start runs phases beside everything else, one after the other until one fails, and has
// then called, by the goroutine that owns the state. With a timeout hooks that take longer
// are ended. Where there is no hook for the phases, then is called at once.
func (r *Runner) Start(ctx context.Context, s Settings, phases []string, timeout time.Duration, then func(err error)) {
	if !slices.ContainsFunc(s.Hooks, func(h uwsgiopts.Hook) bool { return slices.Contains(phases, h.Phase) }) {
		then(nil)
		return
	}
	r.host.Go(func() {
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		var err error
		for _, phase := range phases {
			if err == nil {
				err = r.Run(ctx, s, phase)
			}
		}
		r.host.Post(func() { then(err) })
	})
}

// run is one phase.
type run struct {
	*Runner
	settings Settings
	dir      string
}

// titles are the names of phases in the log, where they differ.
var titles = map[string]string{"as-root": "as root", "as-user": "as user", "pre-app": "pre app", "post-app": "post app"}

// Run runs what there is for the phase, hooks before commands; the first failure ends it.
func (r *Runner) Run(ctx context.Context, s Settings, phase string) error {
	one := &run{Runner: r, settings: s, dir: s.Dir}
	if phase == "start" || phase == "asap" || phase == "pre-jail" || phase == "in-jail" {
		one.dir = s.StartDir
	}
	one.dir = r.Dir(one.dir)
	title := phase
	if t := titles[phase]; t != "" {
		title = t
	}
	for _, hook := range s.Hooks {
		if hook.Phase != phase || hook.Command {
			continue
		}
		action, private := strings.CutPrefix(hook.Text, "!")
		if private {
			r.host.Logf("running --- PRIVATE HOOK --- (%s)...", title)
		} else {
			r.host.Logf("running %q (%s)...", action, title)
		}
		if err := one.act(ctx, action); err != nil {
			return fmt.Errorf("FATAL hook failed, destroying instance: %s: %w", phase, err)
		}
	}
	for _, hook := range s.Hooks {
		if hook.Phase != phase || !hook.Command {
			continue
		}
		r.host.Logf("running %q (%s)...", hook.Text, title)
		if err := r.host.Run(ctx, hook.Text, one.dir); err != nil {
			return fmt.Errorf("exec-%s: %w", phase, err)
		}
	}
	return nil
}
