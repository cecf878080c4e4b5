package emperor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"envoxyd/master/hooks"
)

// Phases of hooks that an emperor runs.
const (
	phaseStart        = "emperor-start"
	phaseBeforeVassal = "as-emperor-before-vassal"
	phaseVassal       = "as-emperor"
)

// variables tell a command which instance it is about.
func (v *vassal) variables(pid int) []string {
	return []string{"UWSGI_VASSAL_CONFIG=" + v.ID, "UWSGI_VASSAL_PID=" + strconv.Itoa(pid),
		"UWSGI_VASSAL_UID=" + strconv.Itoa(int(v.UID)), "UWSGI_VASSAL_GID=" + strconv.Itoa(int(v.GID))}
}

// hook runs a command for an instance whose process has or had that pid, beside everything else. The emperor's own end
// waits for it; being told to end a second time ends the command too.
func (e *Emperor) hook(v *vassal, pid int, command string) {
	if command == "" {
		return
	}
	h := host{e, v.variables(pid)}
	e.hooks++
	e.running.Go(func() {
		if err := h.Run(e.patient, command, ""); err != nil && e.patient.Err() == nil {
			e.log("[emperor] vassal %s: %v", v.ID, err)
		}
		e.post(func(e *Emperor) { e.hooks-- })
	})
}

// runHooks runs the hooks of a phase beside everything else, and then, on the goroutine that owns the state, what follows: at
// once where there are none.
func (e *Emperor) runHooks(phase string, variables []string, then func(err error)) {
	e.hooks++
	hooks.New(host{e, variables}).Start(e.patient, e.settings, []string{phase}, 0, func(err error) {
		e.hooks--
		then(err)
	})
}

// host is the emperor as its hooks see it.
type host struct {
	e         *Emperor
	variables []string // of commands, beside the environment
}

// Run runs a shell command to its end.
func (h host) Run(ctx context.Context, text, dir string) error {
	cmd := exec.CommandContext(ctx, h.e.shell, "-c", text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), h.variables...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("command %q: %w", text, err)
	}
	return nil
}

// Raise says that there are no alarms here.
func (h host) Raise(alarm string, text []byte) {
	h.e.log("[emperor] alarm %s: an emperor raises none: %s", alarm, text)
}

// Map says that signals keep their meaning here.
func (h host) Map(signal syscall.Signal, function string) {
	h.e.log("[emperor] unix_signal: an emperor's signals keep their meaning: %v is not given to %s", signal, function)
}

// Go runs a goroutine that is waited for at the end.
func (h host) Go(do func()) { h.e.running.Go(do) }

// Post has something done by the owner of the state.
func (h host) Post(do func()) { h.e.post(func(*Emperor) { do() }) }

// Logf logs.
func (h host) Logf(format string, args ...any) { h.e.log(format, args...) }
