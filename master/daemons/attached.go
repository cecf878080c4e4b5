package daemons

import (
	"cmp"
	"os/exec"
	"reflect"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/uwsgiopts"
)

// Attached are the daemons that live and end with the instance: --attach-daemon and its kin.
type Attached struct {
	host     Host
	settings Settings
	all      []*daemon // of the configuration that serves
	leaving  []*daemon // of the one before; the new ones start when these have gone
	orphans  []*orphan
}

// orphan is a process group whose daemon has ended and left children in it.
type orphan struct {
	group      int
	stopSignal int
	killAt     time.Time // as a daemon's
}

// daemon is one attached command; processes come and go in it.
type daemon struct {
	uwsgiopts.Daemon
	backoff respawn.Backoff
	pid     int // 0: there is none at the moment
	started time.Time
	spawned int       // how often
	ending  bool      // it is not to come back
	killAt  time.Time // when a process that has been asked to end is killed; zero: it has not been asked
}

// longestThrottle is the longest wait before a respawn, in seconds.
const longestThrottle = 300

// NewAttached returns daemons of which there are none yet.
func NewAttached(host Host) *Attached { return &Attached{host: host} }

// Replace ends the daemons of the last configuration and starts those of another. Those that stay through reloads get a signal.
func (a *Attached) Replace(s Settings) {
	a.settings = s
	stays := map[int]*daemon{} // by the number in the settings
	for number, one := range s.Daemons {
		i := slices.IndexFunc(a.all, func(d *daemon) bool {
			return one.KeepSignal != 0 && d.pid != 0 && d.killAt.IsZero() && !d.ending && reflect.DeepEqual(d.Daemon, one)
		})
		if i >= 0 {
			stays[number] = a.all[i]
			a.all = slices.Delete(a.all, i, i+1)
		}
	}
	a.end(func(d *daemon) int { return cmp.Or(d.ReloadSignal, d.StopSignal) })
	a.leaving = append(a.leaving, a.all...)
	a.all = nil
	for number, one := range s.Daemons {
		if old := stays[number]; old != nil {
			a.all = append(a.all, old)
			_ = a.host.Kill(old.pid, syscall.Signal(one.KeepSignal)) // it may have ended: ended will hear of it
			continue
		}
		a.all = append(a.all, &daemon{Daemon: one, backoff: respawn.Backoff{Policy: throttle(one.MaxThrottle)}})
	}
	a.startAll()
}

// startAll starts what does not run yet, unless predecessors are still there.
func (a *Attached) startAll() {
	kept := a.leaving[:0]
	for _, old := range a.leaving {
		if old.pid != 0 {
			kept = append(kept, old)
		}
	}
	a.leaving = kept
	if len(kept) > 0 || slices.ContainsFunc(a.orphans, func(o *orphan) bool { return !o.killAt.IsZero() }) {
		return
	}
	for _, one := range a.all {
		if one.spawned == 0 {
			a.spawn(one)
		}
	}
}

func (a *Attached) spawn(d *daemon) {
	if d.ending || d.pid != 0 || a.host.Ending() {
		return
	}
	pid := 0
	cmd, err := a.settings.command(a.host, &d.Daemon)
	if err == nil {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		announce(a.host, &d.Daemon, cmd, d.spawned)
		pid, err = a.start(d, cmd)
	}
	d.started = a.host.Now()
	d.spawned++
	if err != nil {
		a.host.Logf("[uwsgi-daemons] %q: %v", d.Command, err)
		a.ended(d)
		return
	}
	d.pid = pid
}

func (a *Attached) start(d *daemon, cmd *exec.Cmd) (pid int, err error) {
	output, err := a.host.Output()
	if err != nil {
		return 0, err
	}
	if output != nil {
		defer output.Close()
		cmd.Stdout, cmd.Stderr = output, output
	}
	return start(a.host, &d.Daemon, cmd, func() { a.ended(d) })
}

// ended decides what follows the end of a daemon's process.
func (a *Attached) ended(d *daemon) {
	if d.pid != 0 && a.host.GroupLives(d.pid) {
		a.orphans = append(a.orphans, &orphan{d.pid, d.StopSignal, d.killAt})
	}
	d.pid, d.killAt = 0, time.Time{}
	switch {
	case d.ending || a.host.Ending():
		a.startAll()
	case d.Control:
		a.host.Logf("[uwsgi-daemons] %q has ended: so does the instance", d.Command)
		a.host.Stop()
	default:
		wait := d.backoff.Ended(a.host.Now().Sub(d.started))
		if wait > 0 {
			a.host.Logf("[uwsgi-daemons] throttling %q for %d seconds", d.Command, wait/time.Second)
		}
		a.host.After(wait, func() { a.spawn(d) })
	}
}

// throttle is how fast a daemon that keeps ending is started again; most is in seconds, 0 for longestThrottle.
func throttle(most int) respawn.Policy {
	if most <= 0 {
		most = longestThrottle
	}
	return respawn.Policy{Healthy: 3 * time.Second, First: time.Second, Max: time.Duration(most) * time.Second, Linear: true}
}

// Restart ends a daemon, by its number in the settings, which then starts anew.
func (a *Attached) Restart(number int) {
	if number < len(a.all) {
		a.ask(a.all[number], a.all[number].StopSignal)
	}
}

// Stop ends all daemons for good, and what those before have left behind.
func (a *Attached) Stop() { a.end(func(d *daemon) int { return d.StopSignal }) }

// end ends all daemons for good, each by its signal.
func (a *Attached) end(signal func(d *daemon) int) {
	for _, one := range a.all {
		one.ending = true
		a.ask(one, signal(one))
	}
	a.forgetGone()
	for _, one := range a.orphans {
		if one.killAt.IsZero() {
			one.killAt = a.host.Now().Add(a.timeout())
			_ = a.host.Kill(-one.group, syscall.Signal(one.stopSignal)) // they may have ended
		}
	}
}

// forgetGone lets go of groups that nobody is left in: the number may soon be another's.
func (a *Attached) forgetGone() {
	a.orphans = slices.DeleteFunc(a.orphans, func(o *orphan) bool { return !a.host.GroupLives(o.group) })
}

// ask sends the signal that ends it to the daemon's process group.
func (a *Attached) ask(d *daemon, signal int) {
	if d.pid == 0 || !d.killAt.IsZero() {
		return
	}
	d.killAt = a.host.Now().Add(a.timeout())
	_ = a.host.Kill(-d.pid, syscall.Signal(signal)) // it may have ended: ended will hear of it
}

func (a *Attached) timeout() time.Duration {
	if a.settings.Timeout > 0 {
		return a.settings.Timeout
	}
	return defaultTimeout
}

// Enforce kills what was asked to end and has not; it is called now and then.
func (a *Attached) Enforce(now time.Time) {
	if a.host.Ending() { // for whatever reason
		a.Stop()
	}
	if len(a.orphans) > 0 {
		a.forgetGone()
		a.startAll()
	}
	for _, one := range a.orphans {
		if !one.killAt.IsZero() && now.After(one.killAt) {
			a.host.Logf("[uwsgi-daemons] children of a daemon did not die in time, killing (process group: %d)", one.group)
			one.killAt = now.Add(defaultTimeout)
			_ = a.host.Kill(-one.group, syscall.SIGKILL) // they may have ended
		}
	}
	for _, list := range [][]*daemon{a.all, a.leaving} {
		for _, one := range list {
			if one.pid != 0 && !one.killAt.IsZero() && now.After(one.killAt) {
				a.host.Logf("[uwsgi-daemons] daemon did not die in time, killing (pid: %d)", one.pid)
				one.killAt = now.Add(defaultTimeout)
				_ = a.host.Kill(-one.pid, syscall.SIGKILL) // it may have ended: ended will hear of it
			}
		}
	}
}

// Gone tells whether no process of a daemon is left.
func (a *Attached) Gone() bool {
	if len(a.orphans) > 0 {
		return false
	}
	for _, list := range [][]*daemon{a.all, a.leaving} {
		for _, one := range list {
			if one.pid != 0 {
				return false
			}
		}
	}
	return true
}

// Status is what there is to know about each daemon.
func (a *Attached) Status() []Status {
	all := make([]Status, len(a.all))
	for i, d := range a.all {
		all[i] = Status{d.Command, d.pid, max(d.spawned-1, 0)}
	}
	return all
}
