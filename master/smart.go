package master

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"envoxyd/uwsgiopts"
)

// smartDaemons are the commands of --smart-attach-daemon and its kin: each has a
// pidfile, is left alone while the process in that lives, and outlives the instance.
type smartDaemons []*smartDaemon

// smartDaemon is one of them.
type smartDaemon struct {
	uwsgiopts.Daemon
	path    string // of the pidfile
	pid     int    // of the process that was last found alive; 0: none was
	spawned int    // how often it was started from here
	ending  bool   // it was told to end, to be started anew
	next    time.Time
}

// follow takes the daemons of cfg. Those that were there before are told of the
// reload; those that are no longer named are left to themselves.
func (s *smartDaemons) follow(m *master, cfg *uwsgiopts.Config) {
	before := *s
	*s = nil
	for _, spec := range cfg.Smart {
		kept := slices.IndexFunc(before, func(d *smartDaemon) bool { return reflect.DeepEqual(d.Daemon, spec) })
		if kept >= 0 {
			d := before[kept]
			*s = append(*s, d)
			if d.ReloadSignal > 0 {
				d.signal(d.ReloadSignal)
			}
			continue
		}
		*s = append(*s, &smartDaemon{Daemon: spec, path: absolute(m.hooks.appDir(cfg), spec.Pidfile)})
	}
	s.look(m, time.Now())
}

// look adopts what runs, and starts what does not.
func (s smartDaemons) look(m *master, now time.Time) {
	for _, d := range s {
		if now.Before(d.next) || m.stopping || m.upgraded {
			continue
		}
		d.next = now.Add(time.Duration(max(d.Freq, 1)) * time.Second)
		if d.ending {
			d.next = now.Add(time.Second)
		}
		if pid := d.running(); pid != 0 {
			if pid != d.pid {
				logf("[uwsgi-daemons] found valid/active pidfile for %q (pid: %d)", d.Command, pid)
			}
			d.pid = pid
			continue
		}
		if d.Control && d.pid != 0 && !d.ending {
			logf("[uwsgi-daemons] %q has ended: so does the instance", d.Command)
			m.stopGracefully()
			return
		}
		d.pid, d.ending = 0, false
		m.startSmart(d)
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

// startSmart starts the command, which is not to end with the instance.
func (m *master) startSmart(d *smartDaemon) {
	cmd, err := m.daemonCommand(&attachedDaemon{Daemon: d.Daemon})
	if err == nil {
		cmd.SysProcAttr.Pdeathsig = 0
		verb := "spawning"
		if d.spawned > 0 {
			verb = "respawning"
		}
		logf("[uwsgi-daemons] %s %q (uid: %d gid: %d)", verb, d.Command, os.Getuid(), os.Getgid())
		err = m.commands.start(cmd)
	}
	d.spawned++
	if err != nil {
		logf("[uwsgi-daemons] %q: %v", d.Command, err)
		return
	}
	if d.Daemonize {
		d.pid = cmd.Process.Pid
		if err := os.WriteFile(d.path, []byte(strconv.Itoa(d.pid)+"\n"), 0o644); err != nil {
			logf("[uwsgi-daemons] pidfile of %q: %v", d.Command, err)
		}
	}
	go func() { // ends with the process; a master that has finished does not wait for it
		_ = m.commands.wait(cmd)
	}()
}

// restart ends the daemon; the next look starts it anew.
func (d *smartDaemon) restart() {
	d.signal(d.StopSignal)
	d.ending, d.next = true, time.Now().Add(time.Second)
}

func (d *smartDaemon) signal(number int) {
	if pid := d.running(); pid != 0 {
		_ = syscall.Kill(pid, syscall.Signal(number)) // it may have ended: look will see
	}
}
