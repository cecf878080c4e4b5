package master

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// The kernel ends daemons with the thread that has started them (PR_SET_PDEATHSIG):
// the owner of the state stays on the first one, which lives as long as the process.
func init() { runtime.LockOSThread() }

// daemons are the commands of --attach-daemon and its kin.
type daemons struct {
	all     []*attachedDaemon // of the configuration that serves
	leaving []*attachedDaemon // of the one before; the new ones start when these have gone
}

// attachedDaemon is one attached command; processes come and go in it.
type attachedDaemon struct {
	uwsgiopts.Daemon
	pid     int // 0: there is none at the moment
	started time.Time
	spawned int       // how often
	ending  bool      // it is not to come back
	killAt  time.Time // when it has been asked to end: the end of patience
}

// daemonPatience is how long a daemon may take to end without --reload-mercy.
const daemonPatience = 3 * time.Second

// longestThrottle is the longest wait before a respawn, in seconds.
const longestThrottle = 300

// replaceDaemons ends the daemons of the last configuration and starts those of this one.
func (m *master) replaceDaemons() {
	d := &m.daemons
	d.stop(m.cfg)
	d.leaving = append(d.leaving, d.all...)
	d.all = nil
	for _, spec := range m.cfg.Daemons {
		d.all = append(d.all, &attachedDaemon{Daemon: spec})
	}
	m.startDaemons()
}

// startDaemons starts what does not run yet, unless predecessors are still there.
func (m *master) startDaemons() {
	d := &m.daemons
	kept := d.leaving[:0]
	for _, old := range d.leaving {
		if old.pid != 0 {
			kept = append(kept, old)
		}
	}
	d.leaving = kept
	if len(kept) > 0 {
		return
	}
	for _, one := range d.all {
		if one.spawned == 0 {
			m.spawnDaemon(one)
		}
	}
}

func (m *master) spawnDaemon(d *attachedDaemon) {
	if d.ending || d.pid != 0 || m.stopping || m.upgraded {
		return
	}
	cmd, err := m.daemonCommand(d)
	if err == nil {
		verb := "spawning"
		if d.spawned > 0 {
			verb = "respawning"
		}
		logf("[uwsgi-daemons] %s %q (uid: %d gid: %d)", verb, d.Command, os.Getuid(), os.Getgid())
		err = m.startDaemon(cmd)
	}
	d.started = time.Now()
	d.spawned++
	if err != nil {
		logf("[uwsgi-daemons] %q: %v", d.Command, err)
		m.daemonEnded(d)
		return
	}
	d.pid = cmd.Process.Pid
	go func() { // ends with the process; a master that has finished does not wait for it
		_ = m.commands.wait(cmd)
		m.post(func(m *master) { m.daemonEnded(d) })
	}()
}

// startDaemon starts a daemon's process. Where the master owns the log it gets a pipe of
// its own, which unlike a socket it may open by name: many log to /dev/stdout.
func (m *master) startDaemon(cmd *exec.Cmd) error {
	if m.log == nil || !m.cfg.LogMaster {
		return m.commands.start(cmd)
	}
	output, err := m.log.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	return m.commands.start(cmd)
}

func (m *master) daemonCommand(d *attachedDaemon) (*exec.Cmd, error) {
	cmd := exec.Command("/bin/sh", "-c", d.Command)
	cmd.Dir = absolute(m.hooks.appDir(m.cfg), d.Chdir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if d.Stdin || m.cfg.DaemonsHonourStdin {
		cmd.Stdin = os.Stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if d.UID == "" && d.GID == "" {
		return cmd, nil
	}
	who, err := privileges.Settings{User: d.UID, Group: d.GID}.Resolve()
	if err != nil {
		return nil, fmt.Errorf("attach-daemon2: %w", err)
	}
	cmd.SysProcAttr.Credential = who.Credential()
	return cmd, nil
}

// daemonEnded decides what follows the end of a daemon.
func (m *master) daemonEnded(d *attachedDaemon) {
	d.pid, d.killAt = 0, time.Time{}
	switch {
	case d.ending || m.stopping || m.upgraded:
		m.startDaemons()
	case d.Control:
		logf("[uwsgi-daemons] %q has ended: so does the instance", d.Command)
		m.stopGracefully()
	default:
		wait := d.throttle(time.Since(d.started))
		if wait > 0 {
			logf("[uwsgi-daemons] throttling %q for %d seconds", d.Command, wait/time.Second)
		}
		m.after(wait, func(m *master) { m.spawnDaemon(d) })
	}
}

// throttle is how long to wait before a daemon that lived for age is started again.
func (d *attachedDaemon) throttle(age time.Duration) time.Duration {
	if age >= 3*time.Second {
		return 0
	}
	most := longestThrottle
	if d.MaxThrottle > 0 {
		most = d.MaxThrottle
	}
	return time.Duration(min(max(d.spawned-int(age/time.Second), 1), most)) * time.Second
}

// restartDaemon ends a daemon, which then starts anew: one of its files was touched.
func (m *master) restartDaemon(number int) {
	if number < len(m.daemons.all) {
		m.daemons.all[number].ask(m.cfg)
	}
}

// stop ends all daemons for good.
func (d *daemons) stop(cfg *uwsgiopts.Config) {
	for _, one := range d.all {
		one.ending = true
		one.ask(cfg)
	}
}

// ask sends the stop signal to the daemon's process group.
func (d *attachedDaemon) ask(cfg *uwsgiopts.Config) {
	if d.pid == 0 || !d.killAt.IsZero() {
		return
	}
	patience := daemonPatience
	if cfg.ReloadMercy > 0 {
		patience = cfg.ReloadMercy
	}
	d.killAt = time.Now().Add(patience)
	_ = syscall.Kill(-d.pid, syscall.Signal(d.StopSignal)) // it may have ended: daemonEnded will hear of it
}

// enforce kills what was asked to end and has not.
func (d *daemons) enforce(now time.Time) {
	for _, list := range [][]*attachedDaemon{d.all, d.leaving} {
		for _, one := range list {
			if one.pid != 0 && !one.killAt.IsZero() && now.After(one.killAt) {
				logf("[uwsgi-daemons] daemon did not die in time, killing (pid: %d)", one.pid)
				one.killAt = now.Add(daemonPatience)
				_ = syscall.Kill(-one.pid, syscall.SIGKILL) // it may have ended: daemonEnded will hear of it
			}
		}
	}
}

// gone: no process of a daemon is left.
func (d *daemons) gone() bool {
	for _, list := range [][]*attachedDaemon{d.all, d.leaving} {
		for _, one := range list {
			if one.pid != 0 {
				return false
			}
		}
	}
	return true
}
