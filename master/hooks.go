package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// hooks runs the actions of --hook-PHASE and the commands of --exec-PHASE.
type hooks struct {
	commands *commands
	dir      string                              // where they run: cd changes it
	moved    bool                                // by a cd, which the application follows too
	remap    func(s syscall.Signal, name string) // unix_signal
	alarms   *alarms
}

func (m *master) newHooks() *hooks {
	return &hooks{commands: m.commands, alarms: m.alarms, remap: func(s syscall.Signal, name string) {
		select {
		case m.events <- func(m *master) { m.remapped[s] = name }:
		case <-m.commands.ctx.Done():
		}
	}}
}

// hookExit is what the action exit asks for.
type hookExit struct{ status int }

func (e hookExit) Error() string {
	return fmt.Sprintf("a hook ends the start with status %d", e.status)
}

// hookStatus is what the instance ends with when a hook has failed.
func hookStatus(err error) int {
	var exit hookExit
	if errors.As(err, &exit) {
		return exit.status
	}
	return statusFailed
}

// phaseTitles are the names of phases in the log, where they differ.
var phaseTitles = map[string]string{"as-root": "as root", "as-user": "as user", "pre-app": "pre app", "post-app": "post app"}

// run runs what cfg has for the phase, hooks before commands; the first failure ends it.
func (h *hooks) run(ctx context.Context, cfg *uwsgiopts.Config, phase string) error {
	if !h.moved {
		h.dir = workDir(cfg)
		if phase == "asap" || phase == "pre-jail" || phase == "in-jail" {
			h.dir = cfg.StartDir
		}
	}
	title := phase
	if t := phaseTitles[phase]; t != "" {
		title = t
	}
	for _, hook := range cfg.Hooks {
		if hook.Phase != phase || hook.Command {
			continue
		}
		action, private := strings.CutPrefix(hook.Text, "!")
		if private {
			logf("running --- PRIVATE HOOK --- (%s)...", title)
		} else {
			logf("running %q (%s)...", action, title)
		}
		if err := h.act(ctx, action); err != nil {
			return fmt.Errorf("FATAL hook failed, destroying instance: %s: %w", phase, err)
		}
	}
	for _, hook := range cfg.Hooks {
		if hook.Phase != phase || !hook.Command {
			continue
		}
		logf("running %q (%s)...", hook.Text, title)
		if err := h.commands.run(ctx, hook.Text, h.dir); err != nil {
			return fmt.Errorf("exec-%s: %w", phase, err)
		}
	}
	return nil
}

// act carries out ACTION:ARGUMENT.
func (h *hooks) act(ctx context.Context, text string) error {
	name, argument, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("invalid hook %q: ACTION:ARGUMENT is needed", text)
	}
	file, rest, more := strings.Cut(argument, " ")
	switch name {
	case "exec":
		return h.commands.run(ctx, argument, h.dir)
	case "safeexec":
		if err := h.commands.run(ctx, argument, h.dir); err != nil {
			logf("%v", err)
		}
		return nil
	case "cd", "chdir":
		return h.changeDir(argument)
	case "putenv":
		key, value, _ := strings.Cut(argument, "=")
		return os.Setenv(key, value)
	case "print", "log":
		logf("%s", argument)
		return nil
	case "exit":
		status, err := strconv.Atoi(argument)
		if argument != "" && err != nil {
			return fmt.Errorf("exit: %w", err)
		}
		return hookExit{status}
	case "unix_signal":
		return h.mapSignal(argument)
	case "mkdir":
		return os.Mkdir(h.path(argument), 0o777)
	case "unlink":
		return os.Remove(h.path(argument))
	case "create", "creat":
		return h.write(argument, "", os.O_TRUNC|os.O_CREATE)
	case "writen", "appendn":
		rest += "\n"
	case "write", "append", "writefifo", "chmod", "chown", "alarm":
		if !more {
			return fmt.Errorf("%s: %q has no second part", name, argument)
		}
	}
	switch name {
	case "write", "writen":
		return h.write(file, rest, os.O_TRUNC|os.O_CREATE)
	case "append", "appendn":
		return h.write(file, rest, os.O_APPEND|os.O_CREATE)
	case "writefifo":
		return h.write(file, rest, unix.O_NONBLOCK)
	case "chmod":
		mode, err := strconv.ParseUint(rest, 8, 12)
		if err != nil {
			return fmt.Errorf("chmod: %w", err)
		}
		return unix.Chmod(h.path(file), uint32(mode)) // os.Chmod has bits of its own above 0777
	case "chown":
		return h.chown(file, rest)
	case "alarm":
		h.alarms.raise(file, []byte(rest))
		return nil
	}
	return fmt.Errorf("hook action not found: %s", name)
}

func (h *hooks) path(name string) string { return absolute(h.dir, name) }

func (h *hooks) changeDir(name string) error {
	dir := h.path(name)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "chdir", Path: dir, Err: unix.ENOTDIR}
	}
	h.dir, h.moved = dir, true
	return nil
}

func (h *hooks) write(name, text string, flags int) error {
	file, err := os.OpenFile(h.path(name), os.O_WRONLY|flags, 0o666)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// chown takes OWNER, OWNER:GROUP or OWNER GROUP, as names or numbers.
func (h *hooks) chown(file, owner string) error {
	name, group, _ := strings.Cut(strings.Replace(owner, " ", ":", 1), ":")
	uid, gid := -1, -1
	var err error
	if name != "" {
		if uid, err = uwsgiopts.LookupUID(name); err != nil {
			return err
		}
	}
	if group != "" {
		if gid, err = uwsgiopts.LookupGID(group); err != nil {
			return err
		}
	}
	return os.Chown(h.path(file), uid, gid)
}

// mapSignal takes NUMBER FUNCTION, with the names that uWSGI's functions have.
func (h *hooks) mapSignal(argument string) error {
	number, name, _ := strings.Cut(argument, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("unix_signal: %w", err)
	}
	switch name {
	case "gracefully_kill_them_all", "kill_them_all", "grace_them_all", "reap_them_all", "uwsgi_chain_reload":
		h.remap(syscall.Signal(n), name)
		return nil
	}
	return fmt.Errorf("unix_signal: there is no function %q", name)
}

// function does what uWSGI's function of that name does.
func (m *master) function(name string) {
	switch name {
	case "gracefully_kill_them_all":
		m.stopGracefully()
	case "kill_them_all":
		m.stop()
	case "grace_them_all":
		m.reload(false)
	case "reap_them_all":
		m.reload(true)
	case "uwsgi_chain_reload":
		m.chainReload()
	}
}

// appDir is where the application and what belongs to it start: where a hook's cd has
// led, or else --chdir.
func (h *hooks) appDir(cfg *uwsgiopts.Config) string {
	if h.moved {
		return h.dir
	}
	return workDir(cfg)
}

// reloadPhases are what a reload runs again before the application is loaded.
var reloadPhases = []string{"asap", "in-jail", "as-root", "as-user", "pre-app"}

// hooked runs phases beside everything else, and then, as an event, what follows.
func (m *master) hooked(cfg *uwsgiopts.Config, h *hooks, phases []string, then func(m *master, err error)) {
	if !slices.ContainsFunc(cfg.Hooks, func(h uwsgiopts.Hook) bool { return slices.Contains(phases, h.Phase) }) {
		then(m, nil)
		return
	}
	m.commands.running.Go(func() {
		var err error
		for _, phase := range phases {
			if err == nil {
				err = h.run(m.commands.ctx, cfg, phase)
			}
		}
		select {
		case m.events <- func(m *master) { then(m, err) }:
		case <-m.commands.ctx.Done():
		}
	})
}

// atExit runs the hooks of the phase as-user-atexit within the time that requests have too.
func (m *master) atExit(cfg *uwsgiopts.Config) {
	ctx, cancel := context.WithTimeout(m.commands.ctx, mercy(cfg))
	defer cancel()
	if err := m.hooks.run(ctx, cfg, "as-user-atexit"); err != nil {
		logf("%v", err)
	}
}
