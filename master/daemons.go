package master

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"envoxyd/master/daemons"
	"envoxyd/master/privileges"
)

// The kernel ends daemons with the thread that has started them (PR_SET_PDEATHSIG):
// the owner of the state stays on the first one, which lives as long as the process.
func init() { runtime.LockOSThread() }

// daemonHost is the master as daemons see it.
type daemonHost struct{ m *master }

// Start starts a daemon's process.
func (h daemonHost) Start(cmd *exec.Cmd, ended func()) (int, error) {
	if err := h.m.commands.start(cmd); err != nil {
		return 0, err
	}
	go func() { // ends with the process; a master that has finished does not wait for it
		_ = h.m.commands.wait(cmd)
		if ended != nil {
			h.m.post(func(*master) { ended() })
		}
	}()
	return cmd.Process.Pid, nil
}

// Kill sends a signal.
func (daemonHost) Kill(pid int, signal syscall.Signal) error { return syscall.Kill(pid, signal) }

// GroupLives tells whether there is a process in the group. Those that have ended and are
// not waited for yet do not count.
func (daemonHost) GroupLives(group int) bool {
	if err := syscall.Kill(-group, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return true
	}
	return slices.ContainsFunc(all, func(path string) bool {
		text, err := os.ReadFile(path)
		if err != nil { // it has ended
			return false
		}
		var state string
		var parent, itsGroup int
		_, err = fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &state, &parent, &itsGroup)
		return err == nil && itsGroup == group && state != "Z" && state != "X"
	})
}

// Output is a pipe for each daemon where the master owns the log: unlike a socket it may
// be opened by name, and many log to /dev/stdout.
func (h daemonHost) Output() (*os.File, error) {
	if h.m.logs.log == nil || !h.m.cfg.LogMaster {
		return nil, nil
	}
	return h.m.logs.log.Pipe(h.m.logs.plan, "daemon")
}

// Credential looks up who a daemon runs as.
func (daemonHost) Credential(uid, gid string) (*syscall.Credential, error) {
	who, err := privileges.Settings{User: uid, Group: gid}.Resolve()
	if err != nil {
		return nil, err
	}
	return who.Credential(), nil
}

// Now is the time.
func (daemonHost) Now() time.Time { return time.Now() }

// After has something done later.
func (h daemonHost) After(wait time.Duration, do func()) { h.m.after(wait, func(*master) { do() }) }

// Ending tells whether nothing is to be started any more.
func (h daemonHost) Ending() bool { return h.m.life.stopping || h.m.life.upgraded }

// Stop ends the instance.
func (h daemonHost) Stop() { h.m.stopGracefully() }

// Logf logs.
func (daemonHost) Logf(format string, args ...any) { logf(format, args...) }

// newDaemons makes the master ready for daemons.
func (m *master) newDaemons() {
	m.jobs.daemons, m.jobs.smart = daemons.NewAttached(daemonHost{m}), daemons.NewSmart(daemonHost{m})
}

// replaceDaemons goes on with the daemons of the configuration that serves.
func (m *master) replaceDaemons() {
	s := daemons.Settings{Dir: appDir(m.hooks, m.cfg), Stdin: m.cfg.DaemonsHonourStdin, Timeout: m.cfg.ReloadMercy}
	s.Daemons = m.cfg.Daemons
	m.jobs.daemons.Replace(s)
	s.Daemons = m.cfg.Smart
	m.jobs.smart.Replace(s)
}

// daemonStatus is what the statistics show.
func (m *master) daemonStatus() []daemons.Status {
	return slices.Concat(m.jobs.daemons.Status(), m.jobs.smart.Status())
}
