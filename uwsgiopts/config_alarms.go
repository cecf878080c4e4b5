package uwsgiopts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func alarmLog(not bool) effect {
	return List.by(func(c *Config, g given) error {
		names, pattern, ok := strings.Cut(g.text, " ")
		if !ok || names == "" || pattern == "" {
			return fmt.Errorf("option %q: %q is not ALARM[,ALARM] REGEXP", g.name, g.text)
		}
		c.AlarmLogs = append(c.AlarmLogs, AlarmLog{Alarms: strings.Split(names, ","), Pattern: pattern, Not: not, Text: g.text})
		return nil
	})
}

// alarmInstead says of alarms that there are not what to do.
var alarmInstead = map[string]string{
	"curl":   "use cmd:curl with the arguments that do the same",
	"xmpp":   "use cmd: with a program that sends the message",
	"speech": "use cmd: with a program that speaks",
}

// AlarmKinds are the alarms that there are.
var AlarmKinds = []string{"cmd", "log", "mule", "signal"}

// setAlarm takes NAME KIND:ARGUMENT.
func setAlarm(c *Config, g given) error {
	name, what, _ := strings.Cut(g.text, " ")
	kind, argument, ok := strings.Cut(what, ":")
	if kind == "log" {
		ok = true
	}
	if name == "" || !ok {
		return fmt.Errorf("option %q: invalid alarm %q: NAME KIND:ARGUMENT is needed", g.name, g.text)
	}
	switch kind {
	case "cmd", "log":
	case "signal":
		if _, err := strconv.ParseUint(argument, 10, 8); err != nil {
			return fmt.Errorf("option %q: %q is not a uwsgi signal (0 to 255)", g.name, argument)
		}
	case "mule":
		if n, err := strconv.Atoi(argument); err != nil || n < 0 {
			return fmt.Errorf("option %q: %q is not the number of a mule (0: any)", g.name, argument)
		}
	default:
		if instead, known := alarmInstead[kind]; known {
			return fmt.Errorf("option %q: alarms of the kind %q are not supported: %s", g.name, kind, instead)
		}
		return fmt.Errorf("option %q: unknown kind of alarm %q; known kinds: %s", g.name, kind, strings.Join(AlarmKinds, ", "))
	}
	c.Alarms = append(c.Alarms, [2]string{name, what})
	return nil
}

// AlarmFD raises an alarm whenever a descriptor becomes readable.
type AlarmFD struct {
	Alarm   string
	FD      int
	Size    int // most bytes that are read for one alarm
	Message string
}

// maxAlarmRead is the largest Size: what is read means nothing, so more is of no use.
const maxAlarmRead = 1 << 20

// setAlarmFD reads ALARM FD[:BYTES] MESSAGE.
func setAlarmFD(c *Config, g given) error {
	fields := strings.SplitN(g.text, " ", 3)
	if len(fields) != 3 || fields[0] == "" || fields[2] == "" {
		return fmt.Errorf("option %q: %q is not ALARM FD[:BYTES] MESSAGE", g.name, g.text)
	}
	a := AlarmFD{Alarm: fields[0], Size: 1, Message: fields[2]}
	number, size, sized := strings.Cut(fields[1], ":")
	var err error
	if a.FD, err = strconv.Atoi(number); err != nil || a.FD < 0 {
		return fmt.Errorf("option %q: %q is not the number of a descriptor", g.name, number)
	}
	if sized {
		if a.Size, err = strconv.Atoi(size); err != nil || a.Size < 1 || a.Size > maxAlarmRead {
			return fmt.Errorf("option %q: %q is not a number of bytes (1 to %d)", g.name, size, maxAlarmRead)
		}
	}
	c.AlarmFDs = append(c.AlarmFDs, a)
	return nil
}

// AlarmDescriptors are the descriptors of AlarmFDs, each once.
func (c *Config) AlarmDescriptors() (fds []int) {
	for _, a := range c.AlarmFDs {
		if !slices.Contains(fds, a.FD) {
			fds = append(fds, a.FD)
		}
	}
	return fds
}

// validateAlarms refuses alarms that nothing would come of.
func (p *parser) validateAlarms() error {
	for _, one := range p.cfg.Alarms {
		number, toMule := strings.CutPrefix(one[1], "mule:")
		if n, err := strconv.Atoi(number); toMule && (err != nil || n > len(p.cfg.Mules) || len(p.cfg.Mules) == 0) {
			return p.refuseValue("alarm", "there is no mule %s (%d configured; add --mule)", number, len(p.cfg.Mules))
		}
	}
	for _, a := range p.cfg.AlarmFDs {
		if !slices.ContainsFunc(p.cfg.Alarms, func(one [2]string) bool { return one[0] == a.Alarm }) {
			return p.refuseValue("alarm-fd", "there is no alarm %q: define it with --alarm", a.Alarm)
		}
	}
	return nil
}
