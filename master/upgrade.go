package master

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

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
	busy      bool
	ctx       context.Context // until stop
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
	os.Unsetenv("TABLEFLIP_HAS_PARENT_7DIU3") // between masters only
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
	m.writePidfiles(workDir(m.cfg), m.cfg.SafePidfile, m.cfg.SafePidfile2, m.cfg.Pidfile2)
	m.writePidfiles(m.cfg.StartDir, m.cfg.Pidfile)
	if dropped := m.upgrader.inherited.Close(); m.cfg.Vacuum {
		vacuumSockets(dropped)
	}
}

// afterParent waits for the master before us, which may still be finishing requests:
// there is never a chain of three.
func (u *upgrader) afterParent(do func() error) error {
	ctx, cancel := context.WithTimeout(u.ctx, parentTime)
	defer cancel()
	if err := u.WaitForParent(ctx); err != nil {
		return fmt.Errorf("the previous master has not gone: %w", err)
	}
	for range 100 { // tableflip itself may hear of it a moment later
		err := do()
		if err == nil || !strings.Contains(err.Error(), "parent hasn't exited") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return do()
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
	case m.upgrader.busy:
		logf("upgrade: refused, one is going on")
		return
	case m.next != nil || m.current == nil || m.reloads.preparing:
		m.reloads.pending.upgrade = true
		return
	}
	more := m.owned.pidfiles.descriptors()
	maps.Copy(more, m.owned.resources.Passed())
	maps.Copy(more, m.gateway.handedOver())
	if err := m.upgrader.handover.Send(m.sockets, more); err != nil {
		logf("upgrade: %v", err)
		return
	}
	logf("upgrade: starting %s", m.upgrader.path)
	m.upgrader.busy = true
	m.upgrader.running.Go(func() {
		err := m.upgrader.afterParent(m.upgrader.flip.Upgrade)
		select {
		case m.events <- func(m *master) { m.upgradeDone(err) }:
		case <-m.upgrader.ctx.Done():
		}
	})
}

func (m *master) upgradeDone(err error) {
	m.upgrader.busy = false
	if err != nil {
		logf("upgrade: failed, this executable goes on serving: %v", err)
		m.upgrader.handover.TakeBack()
		runtime.GC() // closes the child's ends of tableflip's pipes, which tableflip leaves open
		m.notify("READY=1\nMAINPID=" + pidText())
		if m.lostZygote() { // while reloads were refused
			m.recoverZygote(0)
		}
		return
	}
	logf("upgrade: the new master serves, this one finishes what it has")
	m.life.upgraded = true
	sockets.Disown(m.sockets)
	if m.logs.log != nil {
		m.logs.log.Retire()
	}
	m.watchdog.stop()
	m.stopWatching()
	m.triggers.fdReload.close()
	m.triggers.notifySocket.close()
	m.stats.Close()
	m.triggers.fifo.close()
	m.jobs.daemons.Stop()
	m.gateway.quiesce(func(m *master) {
		m.drainCurrent(syscall.SIGHUP)
		m.after(handOverTime, func(m *master) { m.gateway.stop() }) // its successor waits for the brokers
	})
}
