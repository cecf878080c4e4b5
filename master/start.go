package master

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
	"envoxyd/modules"
)

// prepare does what has to be right before anything runs.
func (m *master) prepare(ctx context.Context) (int, error) {
	if m.cfg.Umask >= 0 {
		unix.Umask(m.cfg.Umask)
	}
	if !m.cfg.NoServer {
		if err := m.owned.locks.take(ctx, m.cfg, m.upgrader.second); err != nil {
			return statusFailed, err
		}
	}
	for _, phase := range []string{"start", "asap", "pre-jail", "in-jail"} { // they may make the directories
		if err := m.hooks.Run(ctx, hookSettings(m.cfg), phase); err != nil {
			return hookStatus(err), err
		}
	}
	if err := checkDirectories(m.cfg); err != nil {
		return statusFailed, err
	}
	if !m.life.alone && !m.cfg.NoServer {
		root, given := jail(m.cfg), inheritsSockets()
		if m.upgrader.second { // in there already, as the master before
			root, given = "", m.upgrader.inherited.Given()
		}
		err := bindOfService(m.cfg, root, given)
		if err != nil {
			return statusNoEnvoxy, err
		}
		if m.life.material, err = m.readCertificates(m.cfg); err != nil { // while it may
			return statusFailed, err
		}
		if err := m.life.make(func() (err error) { m.sockets, err = m.openSockets(m.cfg); return err }); err != nil {
			return statusFailed, err
		}
	}
	inherited := m.upgrader.inherited.Take
	first := !m.upgrader.second && !m.cfg.NoServer // until an upgrade succeeds, the pidfiles are the old master's
	if first {                                     // after the sockets: where another instance has those, the pidfile is its own
		if err := m.life.make(func() error { return m.owned.pidfiles.write(m.cfg.Pidfile, m.cfg.StartDir, inherited) }); err != nil {
			return statusFailed, err
		}
	}
	if os.Geteuid() == 0 || !m.upgrader.second { // else the master before has joined them while it was root
		if err := joinCgroups(m.cfg); err != nil {
			return statusFailed, err
		}
	}
	if !m.upgrader.second { // else the master before is in there, and so is this one
		if err := enterJail(m.cfg); err != nil {
			return statusFailed, err
		}
	}
	if err := m.hooks.Run(ctx, hookSettings(m.cfg), "as-root"); err != nil {
		return hookStatus(err), err
	}
	if !m.cfg.NoServer {
		if err := makeSpoolDirs(m.cfg); err != nil {
			return statusFailed, err
		}
	}
	if err := dropPrivileges(m.cfg); err != nil {
		return statusFailed, err
	}
	if err := errors.Join(m.logs.openSecond(m.cfg), m.logs.openLoggers(m.cfg)); err != nil {
		return statusFailed, err
	}
	if err := checkRRDTool(m.cfg); err != nil { // as the user who runs it
		return statusFailed, err
	}
	for _, phase := range []string{"as-user", "pre-app"} {
		if err := m.hooks.Run(ctx, hookSettings(m.cfg), phase); err != nil {
			return hookStatus(err), err
		}
	}
	if first {
		if err := m.life.make(func() error { return m.owned.pidfiles.write(m.cfg.Pidfile2, workDir(m.cfg), inherited) }); err != nil {
			return statusFailed, err
		}
	}
	return statusOK, nil
}

// make makes something that a start that hangs has to remove.
func (l *life) make(do func() error) error {
	l.making.Lock()
	defer l.making.Unlock()
	return do()
}

// breakOff ends a start that hangs where it cannot be given up: in name services, in file systems.
func (m *master) breakOff() {
	logf("...ending in the midst of the start")
	if m.life.making.TryLock() { // and keep it: nothing is made any more
		sockets.CloseUnused(m.sockets, nil)
		if m.cfg.Vacuum {
			m.vacuum()
		}
	}
	m.logs.close()
	os.Exit(statusFailed)
}

// begin prepares the start beside the loop, so that a signal to stop is obeyed at any moment.
func (m *master) begin() {
	m.life.starting = true
	m.beside(func() event {
		status, err := m.prepare(m.life.startCtx)
		var service *modules.Service
		if err == nil {
			status = statusFailed
			service, err = loadService(m.life.startCtx, m.cfg)
		}
		return func(m *master) { m.startPrepared(service, status, err) }
	})
}

// startPrepared starts the first generation.
func (m *master) startPrepared(service *modules.Service, status int, err error) {
	m.life.starting = false
	if m.life.stopping { // in the meantime: what failed, failed for that
		return
	}
	if err != nil {
		m.failStart(status, err)
		return
	}
	logMode(m.cfg)
	if !m.upgrader.second && !m.cfg.NoServer { // else it is the old master's until this one serves
		m.triggers.fifo.reconfigure(m)
	}
	p := &preparation{cfg: m.cfg, hooks: m.hooks, sockets: m.sockets, service: service, material: m.life.material}
	if err := m.startNext(p); err != nil {
		m.failStart(statusFailed, err)
	}
}

// failStart ends a first start that cannot succeed.
func (m *master) failStart(status int, err error) {
	logf("%v", err)
	m.life.status = status
	var unusable *modules.Error
	if errors.As(err, &unusable) {
		m.life.status = statusNoEnvoxy
	}
	m.life.stopping = true
}
