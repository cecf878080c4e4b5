package uwsgiopts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// LoggingConfig is where log lines go and what becomes of them on the way. Regular
// expressions in it are as they were written.
type LoggingConfig struct {
	Loggers, ReqLoggers                     []Logger
	LogEncoders, LogReqEncoders             []string // ENCODER[:LOGGER][ ARGUMENT]
	WorkerLoggers, WorkerReqLoggers         []Logger // of what workers write, in place of the others
	WorkerLogEncoders, WorkerLogReqEncoders []string
	LogDrains, LogFilters                   []string
	LogRoutes, LogReqRoutes                 [][2]string // the name of a logger and an expression

	LogJSON            bool   // each record is an object of JSON
	LogColor           string // ColorAuto …
	LogMaster          bool   // lines go through the master
	LogRequestsDirect  bool   // but for those about requests
	LogMasterBufsize   int    // longest line that goes through the master, bytes; 0: any
	LogMasterStream    bool
	LogMasterReqStream bool

	LogReopen, LogTruncate         bool
	LogMaxsize                     int64 // bytes; 0: no limit
	LogBackupname                  string
	LogfileChown                   bool
	LogfileChmod                   int // -1: not given
	TouchLogrotate, TouchLogreopen []string
	RsyslogPacketSize              int
	RsyslogSplit                   bool
	ListLoggers, ListAlarms        bool
	Alarms                         [][2]string // a name and KIND:ARGUMENT
	AlarmFreq                      int         // seconds that an equal alarm is held back for
	AlarmMsgSize                   int         // bytes
	AlarmBacklog, AlarmOnSegfault  []string    // names of alarms
	AlarmLogs                      []AlarmLog
	AlarmFDs                       []AlarmFD
}

// Values of --log-color.
const (
	ColorAuto   = "auto" // where standard error is a terminal
	ColorAlways = "always"
	ColorNever  = "never"
)

// Logger is one place that log lines go to.
type Logger struct {
	Name      string // what routes call it; "": it takes every line that no route takes
	Kind      string
	Arguments string
	Text      string // as it was written
}

// AlarmLog raises alarms for lines that match.
type AlarmLog struct {
	Alarms  []string
	Pattern string
	Not     bool // a line that matches raises nothing here or further down
	Text    string
}

// ParseLogger reads [NAME ]KIND[:ARGUMENTS]; a name is letters and digits.
func ParseLogger(text string) Logger {
	l := Logger{Text: text}
	rest := text
	if name, after, named := strings.Cut(text, " "); named && name != "" && strings.Trim(name, alphanumeric) == "" {
		l.Name, rest = name, after
	}
	l.Kind, l.Arguments, _ = strings.Cut(rest, ":")
	return l
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// LoggerKinds are the loggers that there are.
var LoggerKinds = []string{"fd", "file", "pipe", "redislog", "rsyslog", "socket", "stdio", "syslog", "systemd"}

// otherLoggers are uWSGI's further loggers, and what to do without them.
var otherLoggers = map[string]string{
	"crypto":     "send lines to a log shipper (pipe:COMMAND) that encrypts them",
	"graylog2":   "use rsyslog:HOST:PORT, which Graylog takes too, or socket:HOST:PORT with a json encoder",
	"mongodblog": "use pipe:COMMAND with a command that writes to MongoDB",
	"python":     "give the application a logging handler of its own",
	"zeromq":     "use socket:HOST:PORT, or pipe:COMMAND with a command that publishes",
}

// logger takes a logger of any kind that there is.
func logger(field func(c *Config) *[]Logger) effect {
	return LoggerText.by(func(c *Config, g given) error { return addLogger(field(c), g, ParseLogger(g.text)) })
}

// loggerOf takes what the logger of one kind logs to.
func loggerOf(kind string, field func(c *Config) *[]Logger) effect {
	return List.by(func(c *Config, g given) error {
		return addLogger(field(c), g, ParseLogger(strings.TrimSuffix(kind+":"+g.text, ":")))
	})
}

func addLogger(to *[]Logger, g given, l Logger) error {
	if instead, known := otherLoggers[l.Kind]; known {
		return fmt.Errorf("option %q: the logger %q is not supported: %s", g.name, l.Kind, instead)
	}
	if !slices.Contains(LoggerKinds, l.Kind) {
		return fmt.Errorf("option %q: unable to find logger %q; available: %s", g.name, l.Kind, strings.Join(LoggerKinds, ", "))
	}
	if (l.Kind == "file" || l.Kind == "socket" || l.Kind == "rsyslog" || l.Kind == "pipe") && l.Arguments == "" {
		return fmt.Errorf("option %q: the logger %q needs a destination: %s:WHERE", g.name, l.Kind, l.Kind)
	}
	*to = append(*to, l)
	return nil
}

// named splits NAME REST.
func named(field func(c *Config) *[][2]string, what string) effect {
	return List.by(func(c *Config, g given) error {
		name, rest, ok := strings.Cut(g.text, " ")
		if !ok || name == "" || rest == "" {
			return fmt.Errorf("option %q: %q is not NAME followed by %s", g.name, g.text, what)
		}
		*field(c) = append(*field(c), [2]string{name, rest})
		return nil
	})
}

// setLogfileChmod takes three octal digits.
func setLogfileChmod(c *Config, g given) error {
	mode, err := strconv.ParseUint(g.text, 8, 32)
	if err != nil || len(g.text) != 3 {
		return fmt.Errorf("invalid value %q for option %q: three octal digits are needed", g.text, g.name)
	}
	c.LogfileChmod = int(mode)
	return nil
}

// finishLogging switches the log master on where the log cannot do without.
func (p *parser) finishLogging() {
	c := p.cfg
	_, udp := c.LogAddress()
	for _, needed := range []bool{
		len(c.Loggers) > 0, len(c.ReqLoggers) > 0, len(c.LogEncoders) > 0, len(c.LogReqEncoders) > 0,
		len(c.LogDrains) > 0, len(c.LogFilters) > 0, len(c.LogRoutes) > 0, len(c.LogReqRoutes) > 0,
		len(c.WorkerLoggers) > 0, len(c.WorkerReqLoggers) > 0, len(c.WorkerLogEncoders) > 0, len(c.WorkerLogReqEncoders) > 0,
		c.LogMaxsize > 0, len(c.TouchLogrotate) > 0, len(c.TouchLogreopen) > 0, len(c.AlarmLogs) > 0,
		udp, // a datagram that is refused must not be an error of the application's
		len(c.MasterFifo) > 0 && c.LogFile() != "", // its commands l and L have to reach everybody who logs
	} {
		c.LogMaster = c.LogMaster || needed
	}
	if !c.LogJSON && c.LogDate == "" {
		return
	}
	// The master puts lines into form, whoever writes them. Lines about requests have theirs already.
	c.LogRequestsDirect = !c.LogMaster && !c.LogReopen && (!c.LogJSON || c.LogFormat == "")
	c.LogMaster = true
}

// LogPlace is what the log was sent to by logto, logto2, daemonize or daemonize2; "": standard error.
func (c *Config) LogPlace() string {
	for _, place := range []string{c.Logto, c.Logto2, c.Daemonize, c.Daemonize2} {
		if place != "" {
			return place
		}
	}
	return ""
}

// LogAddress is the HOST:PORT that the log goes to, if it goes to one.
func (c *Config) LogAddress() (address string, udp bool) {
	place := c.LogPlace()
	return place, IsLogAddress(place)
}

// LogFile is the file that the log goes to; "": it goes to none.
func (c *Config) LogFile() string {
	if place, udp := c.LogAddress(); !udp {
		return place
	}
	return ""
}

// IsLogAddress tells HOST:PORT from the name of a file.
func IsLogAddress(place string) bool {
	return strings.Contains(place, ":") && !strings.HasPrefix(place, "/") && !strings.HasPrefix(place, ".")
}
