package daemons

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// Smart are the daemons of --smart-attach-daemon and its kin: each has a pidfile, is left
// alone while the process in that lives, and outlives the instance.
type Smart struct {
	host     Host
	settings Settings
	all      []*smartDaemon
}

// smartDaemon is one of them.
type smartDaemon struct {
	uwsgiopts.Daemon
	path    string // of the pidfile
	pid     int    // of the process that was last found alive; 0: none was
	spawned int    // how often it was started from here
	ending  bool   // it was told to end, to be started anew
	next    time.Time
}

// NewSmart returns daemons of which there are none yet.
func NewSmart(host Host) *Smart { return &Smart{host: host} }

// Replace takes the daemons of another configuration. Those that were there before are
// told of the reload; those that are no longer named are left to themselves.
func (s *Smart) Replace(settings Settings) {
	before := s.all
	s.settings, s.all = settings, nil
	for _, one := range settings.Daemons {
		kept := slices.IndexFunc(before, func(d *smartDaemon) bool { return reflect.DeepEqual(d.Daemon, one) })
		if kept >= 0 {
			d := before[kept]
			s.all = append(s.all, d)
			if d.ReloadSignal > 0 {
				s.signal(d, d.ReloadSignal)
			}
			continue
		}
		s.all = append(s.all, &smartDaemon{Daemon: one, path: paths.In(settings.Dir, one.Pidfile)})
	}
	s.Poll(s.host.Now())
}

// Poll adopts what runs, and starts what does not; it is called now and then.
func (s *Smart) Poll(now time.Time) {
	for _, d := range s.all {
		if now.Before(d.next) || s.host.Ending() {
			continue
		}
		d.next = now.Add(time.Duration(max(d.Freq, 1)) * time.Second)
		if d.ending {
			d.next = now.Add(time.Second)
		}
		if pid := d.running(); pid != 0 {
			if pid != d.pid {
				s.host.Logf("[uwsgi-daemons] found valid/active pidfile for %q (pid: %d)", d.Command, pid)
			}
			d.pid = pid
			continue
		}
		if d.Control && d.pid != 0 && !d.ending {
			s.host.Logf("[uwsgi-daemons] %q has ended: so does the instance", d.Command)
			s.host.Stop()
			return
		}
		d.pid, d.ending = 0, false
		s.start(d)
	}
}

// running is the live process that the pidfile names; 0: there is none.
func (d *smartDaemon) running() int {
	text, err := os.ReadFile(d.path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 {
		return 0
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, state, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	if strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
		return 0
	}
	return pid
}

// start starts the command, which is not to end with the instance.
func (s *Smart) start(d *smartDaemon) {
	pid := 0
	cmd, err := s.settings.command(s.host, &d.Daemon)
	if err == nil {
		announce(s.host, &d.Daemon, d.spawned)
		pid, err = s.host.Start(cmd, nil)
	}
	d.spawned++
	if err != nil {
		s.host.Logf("[uwsgi-daemons] %q: %v", d.Command, err)
		return
	}
	if d.Daemonize {
		d.pid = pid
		if err := os.WriteFile(d.path, []byte(strconv.Itoa(d.pid)+"\n"), 0o644); err != nil {
			s.host.Logf("[uwsgi-daemons] pidfile of %q: %v", d.Command, err)
		}
	}
}

// Restart ends a daemon, by its number in the settings; the next Poll starts it anew.
func (s *Smart) Restart(number int) {
	if number >= len(s.all) {
		return
	}
	d := s.all[number]
	s.signal(d, d.StopSignal)
	d.ending, d.next = true, s.host.Now().Add(time.Second)
}

func (s *Smart) signal(d *smartDaemon, number int) {
	if pid := d.running(); pid != 0 {
		_ = s.host.Kill(pid, syscall.Signal(number)) // it may have ended: Poll will see
	}
}

// Status is what there is to know about each daemon.
func (s *Smart) Status() []Status {
	all := make([]Status, len(s.all))
	for i, d := range s.all {
		all[i] = Status{d.Command, d.pid, max(d.spawned-1, 0)}
	}
	return all
}
