package master

import (
	"errors"
	"fmt"
	"os"

	"envoxyd/master/logging"
	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// open opens the log: each line begins as --log-date says, and goes to the file of
// --logto or its kin, or through the log master.
func (l *logs) open(cfg *uwsgiopts.Config) error {
	style, err := logging.StyleOf(cfg)
	if err != nil {
		return err
	}
	setStyle(cfg, style)
	if cfg.LogFile() != "" && cfg.LogFile() != cfg.Logto2 {
		if err := direct.Open(logFile(cfg), l.flags(cfg)); err != nil {
			return err
		}
	}
	plan, err := compileLog(cfg)
	if err != nil {
		return err
	}
	pending := direct.Pending()
	ownPending(cfg, pending)
	if !cfg.LogMaster {
		return nil
	}
	if err := l.start(cfg, plan, pending); err != nil || !plan.Immediate() {
		return err
	}
	return l.openLoggers(cfg) // nothing has to wait for another user
}

// setStyle is the form of this process's lines from now on.
func setStyle(cfg *uwsgiopts.Config, style logging.Style) {
	style.Color = ownShown(cfg).color
	direct.SetStyle(style)
}

// ownPending has the master own the log where its file could not be opened for want of
// room: so everybody's lines go to the file as soon as it can be.
func ownPending(cfg *uwsgiopts.Config, pending bool) { cfg.LogMaster = cfg.LogMaster || pending }

// openLoggers opens the loggers, as the user that the instance runs as from then on.
func (l *logs) openLoggers(cfg *uwsgiopts.Config) error {
	if l.log == nil || l.logOpen {
		return nil
	}
	plan, err := compileLog(cfg)
	if err != nil {
		return err
	}
	outputs, err := l.log.Open(plan)
	if err != nil {
		return err
	}
	l.log.Use(outputs)
	l.logOpen = true
	return nil
}

// openSecond is --logto2's: after privileges are dropped.
func (l *logs) openSecond(cfg *uwsgiopts.Config) error {
	if cfg.Logto2 == "" || cfg.LogFile() != cfg.Logto2 {
		return nil
	}
	if l.log != nil {
		return l.log.MoveTo(logFile(cfg), l.flags(cfg))
	}
	if err := direct.Open(logFile(cfg), l.flags(cfg)); err != nil || !direct.Pending() {
		return err
	}
	plan, err := compileLog(cfg)
	if err != nil {
		return err
	}
	ownPending(cfg, true)
	return l.start(cfg, plan, true)
}

// flags: only the first master of a row of upgrades may empty the log.
func (l *logs) flags(cfg *uwsgiopts.Config) int {
	if cfg.LogTruncate && !l.second {
		return os.O_TRUNC
	}
	return 0
}

// compileLog decides everything about the log that needs no file, and blames the option.
func compileLog(cfg *uwsgiopts.Config) (*logging.Plan, error) {
	plan, err := logging.Compile(cfg, workDir(cfg))
	var wrong *logging.OptionError
	if errors.As(err, &wrong) {
		if place := cfg.OriginOf(wrong.Option, wrong.Value).String(); place != "" {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	return plan, err
}

// start makes the master the owner of the log; pending: its file is still to be opened.
func (l *logs) start(cfg *uwsgiopts.Config, plan *logging.Plan, pending bool) error {
	o := logging.Options{File: logFile(cfg), Pending: pending, Style: direct.Style(), Processes: commandStarter{l.commands}, Raise: l.alarms.raise}
	if cfg.LogFile() == cfg.Logto2 && !pending { // later
		o.File.Path = ""
	}
	if address, udp := cfg.LogAddress(); udp {
		o.Address = address
	}
	log, err := logging.Start(o)
	if err != nil {
		return err
	}
	l.log = log
	through.Store(log)
	l.takeCommands(plan)
	for _, notice := range plan.Notices {
		logf("%s", notice)
	}
	return nil
}

// logFile is the file of --logto and its kin, as it is to be opened.
func logFile(cfg *uwsgiopts.Config) logging.FileOptions {
	o := logging.FileOptions{Dir: cfg.StartDir, Path: cfg.LogFile(), Backup: cfg.LogBackupname, MaxSize: cfg.LogMaxsize,
		Mode: cfg.LogfileChmod, UID: -1, GID: -1, Standard: true}
	if !cfg.LogfileChown || os.Geteuid() != 0 {
		return o
	}
	if who, err := privileges.Of(cfg).Resolve(); err == nil { // dropPrivileges refuses a user that there is not
		o.UID, o.GID = who.UID, who.GID
	}
	return o
}

// prepareLog gets the loggers of a new generation ready; they are used when it serves.
func (g *generation) prepareLog() error {
	m, cfg := g.m, g.cfg
	var err error
	if g.logs, err = compileLog(cfg); err != nil {
		return err
	}
	pending := g.openLogFile()
	ownPending(cfg, pending || m.logs.log != nil && m.logs.log.Late())
	if m.logs.log == nil && cfg.LogMaster { // since this reload
		if err := m.logs.start(cfg, g.logs, pending); err != nil {
			return err
		}
		plain, err := m.logs.log.Open(logging.Plain(m.logs.log.Style()))
		if err != nil {
			return err
		}
		m.logs.log.Use(plain) // until the generation serves
	}
	if m.logs.log == nil || m.current == nil {
		return nil
	}
	g.outputs, err = m.logs.log.Open(g.logs)
	return err
}

// openLogFile opens the log file anew for the generation's processes, with --log-reopen: somebody
// may have moved it away. The master itself follows when the generation serves. pending: there
// was no room for it.
func (g *generation) openLogFile() (pending bool) {
	m, cfg := g.m, g.cfg
	if m.logs.log != nil || m.current == nil || cfg.LogMaster || !cfg.LogReopen || cfg.LogFile() == "" {
		return false
	}
	o := logFile(cfg)
	o.Standard = false
	file, err := o.Open(0)
	if err != nil { // the old one does as well
		logf("%v", err)
		return logging.Unwritable(err)
	}
	g.logFile = file
	return false
}

func (g *generation) closeLogFile() {
	if g.logFile != nil {
		g.logFile.Close()
		g.logFile = nil
	}
}

// takeLog makes the generation's loggers the ones in use.
func (g *generation) takeLog() {
	g.closeLogFile() // standard output is that file by now
	if g.outputs != nil {
		g.m.logs.log.Use(g.outputs)
		g.outputs = nil
		if g.cfg.LogMaster {
			g.m.logs.takeCommands(g.logs)
		} else {
			g.m.commands.output.Store(nil)
		}
		setStyle(g.cfg, g.logs.Style())
	}
	g.m.logs.alarms.reconfigure(g.cfg)
}

// dropLog closes loggers that were never used.
func (g *generation) dropLog() {
	g.closeLogFile()
	if g.outputs != nil {
		g.m.logs.log.Discard(g.outputs)
		g.outputs = nil
	}
}

// stdio is what processes of the generation have as standard output and error.
func (g *generation) stdio() (out, err *os.File, failed error) {
	if g.m.logs.log == nil || !g.cfg.LogMaster {
		if g.logFile != nil {
			return g.logFile, g.logFile, nil
		}
		return os.Stdout, os.Stderr, nil
	}
	file, failed := g.m.logs.log.Stdio(g.logs, "app")
	return file, file, failed
}

// requestLog is what workers write lines about requests to; nil: what they write all to.
func (g *generation) requestLog() (*os.File, error) {
	log := g.m.logs.log
	if g.cfg.LogRequestsDirect && !log.Late() { // the master's standard error is the log
		return os.Stderr, nil
	}
	return log.Requests(g.logs)
}

// takeCommands has the log take what commands and companions write.
func (l *logs) takeCommands(plan *logging.Plan) {
	l.plan = plan
	output := func(source string) (*os.File, error) { return l.log.Stdio(plan, source) }
	l.commands.output.Store(&output)
}

// know tells the log which process has this number.
func (l *logs) know(pid int, role string, number int) {
	if l.log != nil {
		l.log.Know(pid, role, number)
	}
}

// forget tells the log that the process has ended.
func (l *logs) forget(pid int) {
	if l.log != nil {
		l.log.Forget(pid)
	}
}

// reopen goes on in a new file, after somebody has moved the old one away.
func (l *logs) reopen(cfg *uwsgiopts.Config) {
	if l.log != nil {
		l.log.Reopen()
		return
	}
	if cfg.LogFile() == "" {
		logf("log reopen: there is no log file")
		return
	}
	direct.Reopen(logFile(cfg))
}

// rotate moves the log file away.
func (l *logs) rotate() {
	if l.log == nil {
		logf("log rotation: there is no log file")
		return
	}
	l.log.Rotate()
}

// close writes what is still on its way.
func (l *logs) close() {
	if l.log == nil {
		return
	}
	l.log.Close()
	through.Store(nil)
}
