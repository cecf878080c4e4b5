package master

import (
	"errors"
	"fmt"
	"os"

	"envoxyd/internal/logdate"
	"envoxyd/master/logging"
	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// openLog opens the log: each line begins as --log-date says, and goes to the file of
// --logto or its kin, or through the log master.
func (m *master) openLog() error {
	cfg := m.cfg
	if cfg.LogDate != "" {
		date, err := logdate.Parse(cfg.LogDate)
		if err != nil {
			return err
		}
		datePrefix.Store(&date)
	}
	if cfg.LogFile() != "" && cfg.LogFile() != cfg.Logto2 {
		if err := direct.Open(m.logFile(cfg), m.logFlags()); err != nil {
			return err
		}
	}
	plan, err := compileLog(cfg)
	if err != nil {
		return err
	}
	if !cfg.LogMaster {
		return nil
	}
	if err := m.startLog(cfg, plan); err != nil || !plan.Immediate() {
		return err
	}
	return m.openLoggers() // nothing has to wait for another user
}

// openLoggers opens the loggers, as the user that the instance runs as from then on.
func (m *master) openLoggers() error {
	if m.log == nil || m.logOpen {
		return nil
	}
	plan, err := compileLog(m.cfg)
	if err != nil {
		return err
	}
	outputs, err := m.log.Open(plan)
	if err != nil {
		return err
	}
	m.log.Use(outputs)
	m.logOpen = true
	return nil
}

// openSecondLog is --logto2's: after privileges are dropped.
func (m *master) openSecondLog() error {
	cfg := m.cfg
	if cfg.Logto2 == "" || cfg.LogFile() != cfg.Logto2 {
		return nil
	}
	if m.log != nil {
		return m.log.MoveTo(m.logFile(cfg), m.logFlags())
	}
	return direct.Open(m.logFile(cfg), m.logFlags())
}

// logFlags: only the first master of a row of upgrades may empty the log.
func (m *master) logFlags() int {
	if m.cfg.LogTruncate && !m.upgrader.second {
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

// startLog makes the master the owner of the log.
func (m *master) startLog(cfg *uwsgiopts.Config, plan *logging.Plan) error {
	o := logging.Options{File: m.logFile(cfg), Pending: direct.Pending(), Processes: books{m.commands}, Raise: m.alarms.raise}
	if cfg.LogFile() == cfg.Logto2 { // later
		o.File.Path = ""
	}
	if address, udp := cfg.LogAddress(); udp {
		o.Address = address
	}
	log, err := logging.Start(o)
	if err != nil {
		return err
	}
	m.log = log
	through.Store(log)
	stdio, err := log.Stdio(plan)
	if err != nil {
		return err
	}
	m.commands.output.Store(stdio)
	for _, notice := range plan.Notices {
		logf("%s", notice)
	}
	return nil
}

// logFile is the file of --logto and its kin, as it is to be opened.
func (m *master) logFile(cfg *uwsgiopts.Config) logging.FileOptions {
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
	if m.log == nil && cfg.LogMaster { // since this reload
		if err := m.startLog(cfg, g.logs); err != nil {
			return err
		}
		plain, err := m.log.Open(logging.Plain())
		if err != nil {
			return err
		}
		m.log.Use(plain) // until the generation serves
	}
	if m.log == nil || m.current == nil {
		return nil
	}
	g.outputs, err = m.log.Open(g.logs)
	return err
}

// takeLog makes the generation's loggers the ones in use.
func (g *generation) takeLog() {
	if g.outputs != nil {
		g.m.log.Use(g.outputs)
		g.outputs = nil
		if out, _, err := g.stdio(); err != nil {
			logf("%v", err)
		} else {
			g.m.commands.output.Store(out)
		}
	}
	g.m.alarms.follow(g.cfg)
}

// dropLog closes loggers that were never used.
func (g *generation) dropLog() {
	if g.outputs != nil {
		g.m.log.Discard(g.outputs)
		g.outputs = nil
	}
}

// stdio is what processes of the generation have as standard output and error.
func (g *generation) stdio() (out, err *os.File, failed error) {
	if g.m.log == nil || !g.cfg.LogMaster {
		return os.Stdout, os.Stderr, nil
	}
	file, failed := g.m.log.Stdio(g.logs)
	return file, file, failed
}

// reopenLog goes on in a new file, after somebody has moved the old one away.
func (m *master) reopenLog(cfg *uwsgiopts.Config) {
	if m.log != nil {
		m.log.Reopen()
		return
	}
	if cfg.LogFile() == "" {
		logf("log reopen: there is no log file")
		return
	}
	direct.Reopen(m.logFile(cfg))
}

func (m *master) rotateLog() {
	if m.log == nil {
		logf("log rotation: there is no log file")
		return
	}
	m.log.Rotate()
}

// closeLog writes what is still on its way.
func (m *master) closeLog() {
	if m.log == nil {
		return
	}
	m.log.Close()
	through.Store(nil)
}
