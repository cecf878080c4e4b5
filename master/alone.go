package master

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"envoxyd/uwsgiopts"
)

// Alone prepares this process as Run does (daemon, log, hooks, pidfiles, user), without sockets, application or workers, has
// run do its work until it returns, and cleans up. log writes a line of the server's; reap, which is to be called now and then,
// waits for processes left to this one that have ended and that nobody knows. It returns the exit status.
func Alone(cfg *uwsgiopts.Config, run func(log func(format string, args ...any), reap func(known func(pid int) bool)) int) int {
	outliveReaders()
	if status, done := daemonize(cfg); done {
		return status
	}
	m := &master{cfg: cfg, started: time.Now(), events: make(chan event, 64), life: life{alone: true}}
	m.routers = newRouters(m)
	m.commands = newCommands(cfg.Binsh...)
	defer m.commands.close()
	m.logs.alarms, m.logs.commands = newAlarms(m.commands, m.events), m.commands
	m.logs.alarms.reconfigure(cfg)
	defer m.logs.close()
	m.hooks = m.newHooks()
	m.triggers.remapped = map[os.Signal]string{}
	var err error
	if m.upgrader, err = newUpgrader(); err == nil {
		err = m.logs.open(cfg)
	}
	if err != nil {
		logf("%v", err)
		return statusFailed
	}
	for _, notice := range cfg.Notices {
		logf("%s", notice)
	}
	noteAimless(cfg)
	banner(cfg, m.started)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	status, err := m.prepare(ctx)
	stop()
	if err != nil {
		logf("%v", err)
		return status
	}
	tellParent()
	os.Unsetenv(daemonVariable) // what is started from here is no daemon yet
	setName(cfg.EmperorProcname)
	status = run(logf, m.strangers.reap)
	m.upgrader.stop()
	if status == statusOK {
		m.atExit(cfg, m.hooks)
		m.finishAtExit()
		if cfg.Vacuum {
			m.vacuum()
		}
		logf("goodbye to uWSGI.")
	}
	return status
}

// noteAimless names what an emperor that runs alone does not do: it obeys signals, and looks at its vassals.
func noteAimless(cfg *uwsgiopts.Config) {
	for _, p := range cfg.Pairs {
		if p.Name == "master-fifo" || p.Name == "hook-touch" || strings.HasPrefix(p.Name, "touch-") || strings.HasPrefix(p.Name, "fs-") {
			logf("option %q has no effect: an emperor without workers takes commands by signals alone (SIGHUP reloads its vassals, SIGTERM stops)", p.Name)
		}
	}
}
