package uwsgiopts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Daemon is a command that runs beside the workers.
type Daemon struct {
	Command      string
	Control      bool // its end stops the instance
	Stdin        bool // it has the instance's standard input
	StopSignal   int
	ReloadSignal int    // what it gets at a reload of the instance: one with a pidfile is told so, another ends by it in place of StopSignal; 0: nothing
	UID, GID     string // "": as the master
	Chdir        string
	Touch        []string // files whose change starts it anew
	MaxThrottle  int      // seconds between respawns at most; 0: 300
	Environ      []string // added to the instance's own
	PIDNamespace bool     // it is the first process of a namespace of its own
	KeepSignal   int      // a reload of the instance that does not change it sends it this; 0: it starts it anew

	// Of those with a pidfile only.
	Pidfile   string
	Daemonize bool // it stays in the foreground: the instance puts it into the background and writes the pidfile
	Freq      int  // seconds between looks
	Notify    bool // it gets StopSignal when the instance ends
}

const (
	sighup  = 1
	sigterm = 15

	lastSignal = 64

	// defaultFreq is how often uWSGI looks after a daemon's pidfile, in seconds.
	defaultFreq = 10
)

func daemon(control bool) effect {
	return List.by(func(c *Config, g given) error {
		c.Daemons = append(c.Daemons, Daemon{Command: g.text, Control: control, StopSignal: sigterm})
		return nil
	})
}

// daemonKeys are what attach-daemon2 knows, in the order of its documentation.
const daemonKeys = "cmd (command, exec), control, stdin, stopsignal (stop_signal), reloadsignal (reload_signal), uid, gid, chdir, touch, " +
	"max_throttle, ns_pid, and pidfile with daemonize (daemon), freq and notifypid"

// setDaemon2 reads KEY=VALUE,KEY=VALUE.
func setDaemon2(c *Config, g given) error {
	d := Daemon{StopSignal: sigterm}
	for part := range strings.SplitSeq(g.text, ",") {
		key, value, hasValue := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		if err := d.set(key, value, hasValue); err != nil {
			return fmt.Errorf("option %q: %s: %w", g.name, key, err)
		}
	}
	if err := d.check(); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	if d.Pidfile == "" {
		if d.Freq > 0 {
			g.notice("option %q: freq has no effect on a daemon without a pidfile: its exit is noticed at once", g.name)
			d.Freq = 0
		}
		c.Daemons = append(c.Daemons, d)
		return nil
	}
	if d.Freq == 0 {
		d.Freq = defaultFreq
	}
	if d.Notify && d.ReloadSignal == 0 {
		d.ReloadSignal = sighup
	}
	c.Smart = append(c.Smart, d)
	return nil
}

// set takes one key of attach-daemon2.
func (d *Daemon) set(key, value string, hasValue bool) (err error) {
	texts := map[string]*string{"cmd": &d.Command, "command": &d.Command, "exec": &d.Command, "uid": &d.UID, "gid": &d.GID, "chdir": &d.Chdir, "pidfile": &d.Pidfile}
	flags := map[string]*bool{"control": &d.Control, "stdin": &d.Stdin, "daemonize": &d.Daemonize, "daemon": &d.Daemonize, "ns_pid": &d.PIDNamespace, "notifypid": &d.Notify}
	switch text, flag := texts[key], flags[key]; {
	case text != nil && value == "":
		return errors.New("needs a value")
	case text != nil:
		*text = value
		return nil
	case flag != nil:
		*flag = given{text: value, flag: !hasValue}.on()
		return nil
	}
	switch key {
	case "touch":
		d.Touch = strings.Split(value, ";")
	case "stopsignal", "stop_signal":
		d.StopSignal, err = between(value, 1, lastSignal)
	case "reloadsignal", "reload_signal":
		d.ReloadSignal, err = between(value, 0, lastSignal)
	case "max_throttle":
		d.MaxThrottle, err = between(value, 0, 1<<30)
	case "freq":
		d.Freq, err = between(value, 1, 1<<30)
	default:
		return fmt.Errorf("is not a known key; known keys: %s. A comma ends a value: put a command that contains one into a script", daemonKeys)
	}
	return err
}

// between reads a number that is at least one and at most another.
func between(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is not a number between %d and %d", text, least, most)
	}
	return n, nil
}

// check refuses combinations that mean nothing.
func (d *Daemon) check() error {
	switch {
	case d.Command == "":
		return errors.New("a command (cmd=) is needed")
	case d.Daemonize && d.Pidfile == "":
		return errors.New("daemonize needs pidfile=: nobody would find the daemon again; leave daemonize out for one that ends with the instance")
	case d.Notify && d.Pidfile == "":
		return errors.New("notifypid needs pidfile=: a daemon without one gets stopsignal and reloadsignal anyhow")
	case d.PIDNamespace && d.Pidfile != "" && !d.Daemonize:
		return errors.New("ns_pid together with pidfile needs daemonize: what the daemon itself writes into its pidfile has no meaning outside of its namespace")
	}
	return nil
}

// smartDaemon reads PIDFILE[,FREQ] COMMAND.
func smartDaemon(daemonize bool) effect {
	return List.by(func(c *Config, g given) error {
		head, command, _ := strings.Cut(g.text, " ")
		pidfile, every, hasFreq := strings.Cut(head, ",")
		d := Daemon{Command: strings.TrimSpace(command), Pidfile: pidfile, Daemonize: daemonize, StopSignal: sigterm, Freq: defaultFreq}
		if d.Command == "" || d.Pidfile == "" {
			return fmt.Errorf("option %q: %q is not PIDFILE COMMAND", g.name, g.text)
		}
		if hasFreq {
			var err error
			if d.Freq, err = strconv.Atoi(every); err != nil || d.Freq < 1 {
				return fmt.Errorf("option %q: %q is not a number of seconds", g.name, every)
			}
		}
		c.Smart = append(c.Smart, d)
		return nil
	})
}
