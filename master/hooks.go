package master

import (
	"context"
	"syscall"

	"envoxyd/master/hooks"
	"envoxyd/uwsgiopts"
)

// hookHost is the master as hooks see it.
type hookHost struct{ m *master }

// Run runs a shell command to its end.
func (h hookHost) Run(ctx context.Context, text, dir string) error {
	return h.m.commands.run(ctx, text, dir)
}

// Raise raises an alarm.
func (h hookHost) Raise(alarm string, text []byte) { h.m.logs.alarms.raise(alarm, text) }

// Map gives a signal another meaning.
func (h hookHost) Map(signal syscall.Signal, function string) {
	h.Post(func() { h.m.triggers.remapped[signal] = function })
}

// Go runs a goroutine that is waited for at the end.
func (h hookHost) Go(do func()) { h.m.commands.running.Go(do) }

// Post has something done by the owner of the state.
func (h hookHost) Post(do func()) {
	select {
	case h.m.events <- func(*master) { do() }:
	case <-h.m.commands.ctx.Done():
	}
}

// Logf logs.
func (hookHost) Logf(format string, args ...any) { logf(format, args...) }

func (m *master) newHooks() *hooks.Runner { return hooks.New(hookHost{m}) }

func hookSettings(cfg *uwsgiopts.Config) hooks.Settings {
	return hooks.SettingsOf(cfg, workDir(cfg))
}

// hookStatus is what the instance ends with when a hook has failed.
func hookStatus(err error) int { return hooks.Status(err, statusFailed) }

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

// reloadPhases are what a reload runs again before the application is loaded.
var reloadPhases = []string{"start", "asap", "in-jail", "as-root", "as-user", "pre-app"}

// appDir is where the application and what belongs to it start: where a hook's cd has
// led, or else --chdir.
func appDir(h *hooks.Runner, cfg *uwsgiopts.Config) string { return h.Dir(workDir(cfg)) }

// hooked runs phases beside everything else, and then, as an event, what follows.
func (m *master) hooked(cfg *uwsgiopts.Config, h *hooks.Runner, phases []string, then func(m *master, err error)) {
	h.Start(m.commands.ctx, hookSettings(cfg), phases, 0, func(err error) { then(m, err) })
}

// exitHooks are the hooks of applications that have ended or are about to. They run beside
// the loop.
type exitHooks struct {
	running int
	ctx     context.Context
	cancel  context.CancelFunc // nil: none has run since the last
}

// atExit starts the hooks of the phase as-user-atexit. They have the time that requests have too.
func (m *master) atExit(cfg *uwsgiopts.Config, h *hooks.Runner) {
	e := &m.exitHooks
	if e.cancel == nil {
		e.ctx, e.cancel = context.WithCancel(m.commands.ctx)
	}
	e.running++
	h.Start(e.ctx, hookSettings(cfg), []string{"as-user-atexit"}, mercy(cfg), func(err error) {
		e.running--
		if err != nil {
			logf("%v", err)
		}
	})
}

// finishAtExit waits for them, at the very end. Events are still handled: one more signal to
// stop ends them.
func (m *master) finishAtExit() {
	for m.exitHooks.running > 0 {
		(<-m.events)(m)
	}
}

// stop ends those that run at the moment.
func (e *exitHooks) stop() {
	if e.cancel != nil {
		e.cancel()
		e.cancel = nil
	}
}
