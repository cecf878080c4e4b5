package daemons

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"syscall"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/respawn"
	"envoxyd/uwsgiopts"
)

// Smart are the daemons of --smart-attach-daemon and its kin: each has a pidfile, is left
// alone while the process in that lives, and outlives the instance.
type Smart struct {
	host     Host
	settings Settings
	all      []*smartDaemon
	stopped  bool
}

// smartDaemon is one of them.
type smartDaemon struct {
	uwsgiopts.Daemon
	path    string // of the pidfile
	pid     int    // of the process that was last found alive; 0: none was
	ending  bool   // it was told to end, to be started anew
	trouble string // what the log has said last of the pidfile

	command int  // the process that was started from here last; 0: none was
	runs    bool // it has not ended, and no pidfile names another
	spawned int  // how often that was
	started time.Time
	backoff respawn.Backoff
	waited  bool // it keeps ending, and has had its wait

	look  time.Time // when it is looked at
	again time.Time // it is not started before: the last command may not have written the pidfile yet
}

// patience is how long a command may take to put itself into the background.
const patience = 3 * time.Second

// NewSmart returns daemons of which there are none yet.
func NewSmart(host Host) *Smart { return &Smart{host: host} }

// Replace takes the daemons of another configuration. Those that were there before are
// told of the reload; those that are no longer named are left to themselves.
func (s *Smart) Replace(settings Settings) {
	before := slices.Clone(s.all)
	s.settings, s.all = settings, nil
	for _, one := range settings.Daemons {
		path := paths.In(settings.Dir, one.Pidfile)
		kept := slices.IndexFunc(before, func(d *smartDaemon) bool { return d.path == path && reflect.DeepEqual(d.Daemon, one) })
		if kept < 0 {
			s.all = append(s.all, &smartDaemon{Daemon: one, path: path, backoff: respawn.Backoff{Policy: throttle(one.MaxThrottle)}})
			continue
		}
		d := before[kept]
		before = slices.Delete(before, kept, kept+1)
		s.all = append(s.all, d)
		s.signal(d, d.ReloadSignal)
	}
	s.Poll(s.host.Now())
}

// Poll adopts what runs, and starts what does not; it is called now and then.
func (s *Smart) Poll(now time.Time) {
	for _, d := range s.all {
		if now.Before(d.look) || s.host.Ending() {
			continue
		}
		d.look = now.Add(time.Second)
		switch pid, err := s.running(d); {
		case err != nil:
			s.complain(d, err.Error())
		case pid != 0:
			s.found(d, pid)
			if !d.ending {
				d.look = now.Add(d.freq())
			}
		case d.runs:
			s.foreground(d, now)
		case d.Control && d.pid != 0 && !d.ending:
			s.host.Logf("[uwsgi-daemons] %q has ended: so does the instance", d.Command)
			s.host.Stop()
			return
		case now.Before(d.again) && !d.ending:
		default:
			s.start(d, now)
		}
	}
}

// freq is how often it is looked after.
func (d *smartDaemon) freq() time.Duration { return time.Duration(max(d.Freq, 1)) * time.Second }

// found notes the process that the pidfile names.
func (s *Smart) found(d *smartDaemon, pid int) {
	switch before := cmp.Or(d.pid, d.command); before {
	case pid:
	case 0:
		s.host.Logf("[uwsgi-daemons] found valid/active pidfile for %q (pid: %d)", d.Command, pid)
	default:
		s.host.Logf("[uwsgi-daemons] found changed pid for %q (old_pid: %d new_pid: %d)", d.Command, before, pid)
	}
	d.pid, d.trouble = pid, ""
	d.runs = d.runs && pid == d.command
}

// foreground: the command runs, and the pidfile names nothing that does. Another one beside it would help nobody.
func (s *Smart) foreground(d *smartDaemon, now time.Time) {
	if d.Daemonize {
		s.writePidfile(d)
	} else if now.Sub(d.started) >= patience {
		s.complain(d, "(pid: "+strconv.Itoa(d.command)+") did not daemonize !!!")
	}
}

// complain says once what is wrong.
func (s *Smart) complain(d *smartDaemon, trouble string) {
	if d.trouble != trouble {
		d.trouble = trouble
		s.host.Logf("[uwsgi-daemons] %q %s", d.Command, trouble)
	}
}

// start starts the command, which is not to end with the instance. What keeps ending waits before.
func (s *Smart) start(d *smartDaemon, now time.Time) {
	if !d.waited && !d.ending && s.throttled(d, now) {
		return
	}
	d.pid, d.ending, d.waited, d.trouble = 0, false, false, ""
	d.started, d.again = now, now.Add(d.freq())
	pid := 0
	cmd, err := s.settings.command(s.host, &d.Daemon)
	if err == nil {
		announce(s.host, &d.Daemon, cmd, d.spawned)
		pid, err = start(s.host, &d.Daemon, cmd, func() { s.ended(d, pid) })
	}
	d.spawned++
	if err != nil {
		s.host.Logf("[uwsgi-daemons] %q: %v", d.Command, err)
		return
	}
	d.command, d.runs = pid, true
	if d.Daemonize {
		d.pid = pid
		s.writePidfile(d)
	}
}

// throttled has a daemon wait that keeps ending.
func (s *Smart) throttled(d *smartDaemon, now time.Time) bool {
	if before := cmp.Or(d.pid, d.command); before != 0 {
		if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
			s.host.Logf("[uwsgi-daemons] found changed pidfile for %q (old_pid: %d new_pid: -1)", d.Command, before)
		}
	}
	if d.spawned == 0 {
		return false
	}
	wait := d.backoff.Ended(now.Sub(d.started))
	if wait <= 0 {
		return false
	}
	s.host.Logf("[uwsgi-daemons] throttling %q for %d seconds", d.Command, wait/time.Second)
	d.waited, d.look = true, now.Add(wait)
	return true
}

// ended: a command has put the daemon into the background, or was itself the daemon, or has failed.
func (s *Smart) ended(d *smartDaemon, pid int) {
	if !d.runs || d.command != pid {
		return
	}
	d.runs = false
	if d.Daemonize {
		d.look, d.again = time.Time{}, time.Time{}
		return
	}
	d.again = s.host.Now().Add(d.freq())
}

func (s *Smart) writePidfile(d *smartDaemon) {
	if err := os.WriteFile(d.path, []byte(strconv.Itoa(d.command)+"\n"), 0o644); err != nil {
		s.complain(d, "has no pidfile: "+err.Error())
	}
}

// Restart ends a daemon, by its number in the settings; the next Poll starts it anew.
func (s *Smart) Restart(number int) {
	if number >= len(s.all) {
		return
	}
	d := s.all[number]
	s.signal(d, d.StopSignal)
	d.ending, d.look = true, s.host.Now().Add(time.Second)
}

// Stop tells those of the instance's end that want to know.
func (s *Smart) Stop() {
	s.leave(func(d *smartDaemon) int {
		if d.Notify {
			return d.StopSignal
		}
		return 0
	})
}

// HandOver tells them of a reload: another master looks after them from now on.
func (s *Smart) HandOver() { s.leave(func(d *smartDaemon) int { return d.ReloadSignal }) }

// leave sends each its signal, once. Commands that are still in the foreground end: nobody would find them again.
func (s *Smart) leave(signal func(d *smartDaemon) int) {
	if s.stopped {
		return
	}
	s.stopped = true
	for _, d := range s.all {
		if d.runs && !d.Daemonize {
			_ = s.host.Kill(-d.command, syscall.Signal(d.StopSignal)) // it may have ended just now
			continue
		}
		s.signal(d, signal(d))
	}
}

// signal sends the daemon a signal, unless it is 0.
func (s *Smart) signal(d *smartDaemon, number int) {
	if number == 0 {
		return
	}
	pid, err := s.running(d)
	switch {
	case err != nil:
		s.complain(d, err.Error())
	case pid != 0:
		_ = s.host.Kill(pid, syscall.Signal(number)) // it may have ended: Poll will see
	case d.runs:
		_ = s.host.Kill(-d.command, syscall.Signal(number))
	}
}

// Status is what there is to know about each daemon.
func (s *Smart) Status() []Status {
	all := make([]Status, len(s.all))
	for i, d := range s.all {
		all[i] = Status{d.Command, d.pid, max(d.spawned-1, 0)}
		if d.runs {
			all[i].PID = d.command
		}
	}
	return all
}
