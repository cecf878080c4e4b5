package master

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

	"envoxyd/master/process"
	"envoxyd/master/sockets"
)

// upgradeTimeout is how long a new executable may take to serve.
const upgradeTimeout = time.Minute

// handOverTime is how long the workers that finish what they have keep the event gateway
// from leaving the brokers to its successor.
const handOverTime = 5 * time.Second

// parentTime is how long an upgrade waits for the end of the previous one.
const parentTime = 2 * time.Minute

// socketsFile is the name under which one descriptor is passed to the new
// executable: a socket that holds the listening sockets as messages.
const socketsFile = "sockets"

// parentVariable is what tableflip gives to the process that it starts.
const parentVariable = "TABLEFLIP_HAS_PARENT_7DIU3"

// flip is what of tableflip is used.
type flip interface {
	AddFile(name string, file *os.File) error
	Upgrade() error
	Ready() error
	Stop()
	WaitForParent(ctx context.Context) error
}

// upgrader replaces the executable without closing a socket.
type upgrader struct {
	flip
	inherited sockets.Inheritance // what the previous master has passed on
	handover  *sockets.Handover   // to the next one; always the same, as tableflip keeps what it is given
	second    bool                // another master started us to take its place
	busy      bool                // the next executable is starting
	waiting   bool                // for the master before us, with the start of the next executable
	alone     bool                // that master has gone
	ctx       context.Context     // until stop
	cancel    context.CancelFunc
	running   sync.WaitGroup
	self      os.FileInfo // the file that runs
	path      string
}

func newUpgrader() (*upgrader, error) {
	flipper, err := tableflip.New(tableflip.Options{UpgradeTimeout: upgradeTimeout})
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	os.Unsetenv(parentVariable) // between masters only
	u := &upgrader{flip: flipper, second: flipper.HasParent(), ctx: ctx, cancel: cancel}
	if u.path, err = os.Executable(); err == nil {
		u.self, err = os.Stat("/proc/self/exe")
	}
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	if file, err := flipper.File(socketsFile); err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	} else if file != nil {
		defer file.Close()
		if err := u.inherited.Receive(file); err != nil {
			return nil, fmt.Errorf("upgrade: %w", err)
		}
	}
	if u.handover, err = sockets.NewHandover(); err == nil {
		err = flipper.AddFile(socketsFile, u.handover.Far())
	}
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return u, nil
}

// replaced: the file at the executable's path is no longer the one that runs.
func (u *upgrader) replaced() bool {
	now, err := os.Stat(u.path)
	return err == nil && !os.SameFile(now, u.self)
}

// takeOver tells the previous master, if there is one, that it may go. What it has left to us
// is ours from then on.
func (m *master) takeOver() {
	if err := m.upgrader.Ready(); err != nil {
		logf("upgrade: %v", err)
	}
	if !m.upgrader.second {
		return
	}
	runtime.GC() // closes the previous master's end of its handover, which tableflip has let go of
	p, inherited := &m.owned.pidfiles, m.upgrader.inherited.Take
	p.writeAll(workDir(m.cfg), inherited, m.cfg.SafePidfile, m.cfg.SafePidfile2, m.cfg.Pidfile2)
	p.writeAll(m.cfg.StartDir, inherited, m.cfg.Pidfile)
	if dropped := m.upgrader.inherited.Close(); m.cfg.Vacuum {
		vacuumSockets(dropped)
	}
}

// waitForParent waits for the master before us, which may still be finishing requests: there
// is never a chain of three.
func (u *upgrader) waitForParent() error {
	ctx, cancel := context.WithTimeout(u.ctx, parentTime)
	defer cancel()
	if err := u.WaitForParent(ctx); err != nil {
		return fmt.Errorf("the previous master has not gone: %w", err)
	}
	return nil
}

// start runs the next executable until it serves or has failed. tableflip may hear of the
// parent's end a moment after waitForParent does.
func (u *upgrader) start() (err error) {
	for range 100 {
		err = u.flip.Upgrade()
		if err == nil || !strings.Contains(err.Error(), "parent hasn't exited") {
			return err
		}
		select {
		case <-u.ctx.Done():
			return u.ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return err
}

// stop ends an upgrade that is under way, and with it the process that it started.
func (u *upgrader) stop() {
	u.cancel()
	u.Stop()
	u.running.Wait()
}

// upgrade starts the executable at our path beside us. When it serves, we go.
func (m *master) upgrade() {
	switch {
	case m.life.stopping || m.life.upgraded:
		return
	case os.Getpid() == 1:
		logf("upgrade: refused, this is process 1: its end would be the container's. Replace the container, or send SIGHUP to reload the application.")
		return
	case m.vassal != nil:
		logf("upgrade: refused, this is a vassal: its emperor knows the process by its number. The next start takes the new executable.")
		return
	case m.upgrader.busy || m.upgrader.waiting:
		logf("upgrade: refused, one is going on")
		return
	case m.upgrader.second && !m.upgrader.alone:
		m.waitToUpgrade()
		return
	case m.next != nil || m.current == nil || m.reloads.preparing:
		m.reloads.pending.upgrade = true
		return
	}
	more := m.owned.pidfiles.descriptors()
	history, err := m.passHistory()
	if err != nil {
		logf("upgrade: counters begin anew: %v", err)
	}
	maps.Copy(more, history)
	maps.Copy(more, m.owned.resources.Passed())
	maps.Copy(more, m.owned.kept.Passed())
	maps.Copy(more, m.gateways.handedOver())
	maps.Copy(more, m.routers.handedOver())
	if err := m.upgrader.handover.Send(m.sockets, more); err != nil {
		logf("upgrade: %v", err)
		return
	}
	logf("upgrade: starting %s", m.upgrader.path)
	m.upgrader.busy = true
	beside(m.upgrader.ctx, &m.upgrader.running, m.events, func() event {
		err := m.upgrader.start()
		return func(m *master) { m.upgradeDone(err) }
	})
}

// waitToUpgrade upgrades when the master before us has gone. Until then everything goes on.
func (m *master) waitToUpgrade() {
	logf("upgrade: waiting for the previous master, which may still be finishing requests")
	m.upgrader.waiting = true
	beside(m.upgrader.ctx, &m.upgrader.running, m.events, func() event {
		err := m.upgrader.waitForParent()
		return func(m *master) {
			m.upgrader.waiting = false
			if err != nil {
				logf("upgrade: failed, this executable keeps serving: %v", err)
				return
			}
			m.upgrader.alone = true
			m.upgrade()
		}
	})
}

// signalSuccessor sends a signal to the master that has taken over: the child that tableflip
// has started, by the variable that it gives to it alone.
func signalSuccessor(s syscall.Signal) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		logf("upgrade: the new master cannot be found: %v", err)
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		child, err := process.Linux{}.Adopt(pid) // only children
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		found := err == nil && bytes.Contains(environ, []byte(parentVariable+"="))
		if found {
			_ = child.Signal(s) // one that has ended has a successor or nobody
		}
		child.Release()
		if found {
			return
		}
	}
}

func (m *master) upgradeDone(err error) {
	m.upgrader.busy = false
	if err != nil {
		logf("upgrade: failed, this executable keeps serving: %v", err)
		m.upgrader.handover.TakeBack()
		if m.life.stopping {
			return
		}
		runtime.GC() // closes the child's ends of tableflip's pipes, which tableflip leaves open
		notify("READY=1\nMAINPID=" + pidText())
		if m.lostZygote() { // while reloads had to wait
			m.recoverZygote(0)
		}
		m.catchUp()
		return
	}
	logf("upgrade: the new master serves, this one finishes what it has")
	switch {
	case m.life.stopping: // the new one came up in the moment of the signal
		signalSuccessor(syscall.SIGTERM)
	case m.reloads.pending.reload: // the new one may have loaded before what is asked for was there
		signalSuccessor(syscall.SIGHUP)
	}
	m.life.upgraded, m.reloads.chain = true, nil
	m.life.signalsUntil = m.sys.now().Add(mercy(m.cfg))
	sockets.Disown(m.sockets)
	if m.logs.log != nil {
		m.logs.log.Retire()
	}
	m.watchdog.stop()
	m.stopWatching()
	m.triggers.fdReload.close()
	m.triggers.fdAlarm.close()
	m.triggers.notifySocket.close()
	m.triggers.subscriptionNotify.close()
	m.triggers.zerg.close()
	m.stats.Close()
	m.prometheus.Retire()
	m.statusPage.retire()
	m.snmp.Close()
	m.triggers.fifo.close()
	m.jobs.daemons.Stop()
	m.jobs.smart.HandOver()
	m.routers.stop(true, func(*master) {})
	m.gateways.quiesce(func(m *master) {
		m.drainCurrent(syscall.SIGHUP)
		m.after(handOverTime, func(m *master) { m.gateways.stop() }) // its successor waits for the brokers
	})
}
