package logging

import (
	"fmt"
	"path/filepath"
	"slices"

	"envoxyd/internal/pcre"
	"envoxyd/uwsgiopts"
)

// Plan is everything about logs that can be decided before a file is opened.
type Plan struct {
	// Notices are what a start logs and lives with.
	Notices []string

	loggers  []uwsgiopts.Logger // of both streams
	main     streamPlan
	workers  *streamPlan // nil: what workers write goes the way of others
	requests *streamPlan // nil: lines about requests are lines like others

	style        Style
	maxsize      int64
	cut          int // longest record, bytes; 0: any
	stream       bool
	reqStream    bool
	packetSize   int
	splitPackets bool
	dir          string // that files relate to
}

// streamPlan is what becomes of one kind of lines.
type streamPlan struct {
	rules    rules
	encoders []encoder
	alarms   []alarmRule
}

// The number of the place that takes the lines when there is no unnamed logger:
// standard error, or what --logto and its kin have put there.
const original = 0

// OptionError is what is wrong with one value of an option.
type OptionError struct {
	Option, Value string
	Err           error
}

// Error names the option.
func (e *OptionError) Error() string { return fmt.Sprintf("option %q: %v", e.Option, e.Err) }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// Compile decides what cfg says about logs; relative files are in dir.
func Compile(cfg *uwsgiopts.Config, dir string) (*Plan, error) {
	p := &Plan{
		maxsize: cfg.LogMaxsize, cut: cfg.LogMasterBufsize, stream: cfg.LogMasterStream, reqStream: cfg.LogMasterReqStream,
		packetSize: cfg.RsyslogPacketSize, splitPackets: cfg.RsyslogSplit, dir: dir,
	}
	var err error
	if p.style, err = StyleOf(cfg); err != nil {
		return nil, err
	}
	if p.style.JSON && cfg.LogDate != "" {
		p.Notices = append(p.Notices, "log-date is not used with log-json: each record has its time")
	}
	p.loggers = slices.Concat([]uwsgiopts.Logger{{}}, cfg.Loggers, cfg.ReqLoggers, cfg.WorkerLoggers, cfg.WorkerReqLoggers)
	if cfg.LogFile() == "" && (cfg.LogMaxsize > 0 || cfg.LogBackupname != "") {
		p.Notices = append(p.Notices, "log-maxsize and log-backupname are about the file of logto, and there is none: give a logger its own, file:logfile=PATH,backupname=PATH,maxsize=BYTES")
	}
	first, firstReq := 1, 1+len(cfg.Loggers)
	main := p.loggers[first:firstReq]
	if p.main.encoders, err = p.encoders("log-encoder", cfg.LogEncoders); err != nil {
		return nil, err
	}
	p.main.rules.unnamed = unnamed(main, first, []int{original})
	for option, from := range map[string]struct {
		texts []string
		to    *[]*pcre.Pattern
	}{"log-drain": {cfg.LogDrains, &p.main.rules.drains}, "log-filter": {cfg.LogFilters, &p.main.rules.filters}} {
		for _, text := range from.texts {
			pattern, err := pcre.Compile(text)
			if err != nil {
				return nil, &OptionError{option, text, err}
			}
			*from.to = append(*from.to, pattern)
		}
	}
	if p.main.rules.routes, err = p.routes("log-route", cfg.LogRoutes, first); err != nil {
		return nil, err
	}
	if p.main.alarms, err = alarmRules(cfg); err != nil {
		return nil, err
	}
	if err := p.planWorkers(cfg, firstReq+len(cfg.ReqLoggers)); err != nil {
		return nil, err
	}
	p.stream = p.stream || !p.style.JSON && p.linesWillDo()
	return p, p.planRequests(cfg, firstReq)
}

// planWorkers decides what becomes of what workers write. The first logger of theirs has the number own.
func (p *Plan) planWorkers(cfg *uwsgiopts.Config, own int) (err error) {
	if len(cfg.WorkerLoggers) == 0 && len(cfg.WorkerLogEncoders) == 0 {
		return nil
	}
	workers := p.main
	workers.rules.unnamed = unnamed(p.loggers[own:own+len(cfg.WorkerLoggers)], own, p.main.rules.unnamed)
	if workers.rules.routes, err = p.routes("log-route", cfg.LogRoutes, own); err != nil {
		return err
	}
	if workers.encoders, err = p.encoders("worker-log-encoder", cfg.WorkerLogEncoders); err != nil {
		return err
	}
	if len(cfg.WorkerLoggers) == 0 {
		workers.encoders = append(workers.encoders, p.main.encoders...)
	}
	p.workers = &workers
	return nil
}

// planRequests decides what becomes of lines about requests. The first logger of req-logger has the number first.
func (p *Plan) planRequests(cfg *uwsgiopts.Config, first int) (err error) {
	if len(cfg.ReqLoggers)+len(cfg.LogReqRoutes)+len(cfg.LogReqEncoders)+len(cfg.WorkerReqLoggers)+len(cfg.WorkerLogReqEncoders) == 0 {
		return nil
	}
	r := &streamPlan{}
	if r.encoders, err = p.encoders("worker-log-req-encoder", cfg.WorkerLogReqEncoders); err != nil {
		return err
	}
	loggers, others := cfg.ReqLoggers, p.main.rules.unnamed
	if len(cfg.WorkerReqLoggers) > 0 {
		first += len(cfg.ReqLoggers) + len(cfg.WorkerLoggers)
		loggers = cfg.WorkerReqLoggers
	} else {
		encoders, err := p.encoders("log-req-encoder", cfg.LogReqEncoders)
		if err != nil {
			return err
		}
		r.encoders = append(r.encoders, encoders...)
	}
	if p.workers != nil {
		others = p.workers.rules.unnamed
	}
	r.rules.unnamed = unnamed(p.loggers[first:first+len(loggers)], first, others)
	r.rules.routes, err = p.routes("log-req-route", cfg.LogReqRoutes, first)
	p.requests = r
	return err
}

// linesWillDo: nothing treats several lines of one write as one record, so they may come
// by a stream, which takes writes of any size.
func (p *Plan) linesWillDo() bool {
	m := &p.main
	if p.workers != nil && len(p.workers.encoders) > 0 {
		return false
	}
	if len(m.encoders)+len(m.alarms)+len(m.rules.routes)+len(m.rules.drains)+len(m.rules.filters)+p.cut > 0 {
		return false
	}
	return !slices.ContainsFunc(p.loggers, func(l uwsgiopts.Logger) bool {
		return !slices.Contains([]string{"", "file", "stdio", "fd", "pipe"}, l.Kind)
	})
}

// Marked tells whether workers mark the lines of the server: where something depends on what wrote a line.
func (p *Plan) Marked() bool { return !p.stream || !p.style.Plain() }

// Plain is the plan of a log without any logger.
func Plain(style Style) *Plan {
	return &Plan{stream: true, style: style, loggers: make([]uwsgiopts.Logger, 1), main: streamPlan{rules: rules{unnamed: []int{original}}}}
}

// unnamed returns the numbers of loggers without a name, or others where there is none.
func unnamed(loggers []uwsgiopts.Logger, first int, others []int) (numbers []int) {
	for i, l := range loggers {
		if l.Name == "" {
			numbers = append(numbers, first+i)
		}
	}
	if len(numbers) == 0 {
		return others
	}
	return numbers
}

// routes looks a name up among the stream's own loggers, the first of which has the
// number own, and then among all.
func (p *Plan) routes(option string, given [][2]string, own int) (routes []route, err error) {
	for _, r := range given {
		pattern, err := pcre.Compile(r[1])
		if err != nil {
			return nil, &OptionError{option, r[0] + " " + r[1], err}
		}
		named := func(l uwsgiopts.Logger) bool { return l.Name == r[0] }
		number := slices.IndexFunc(p.loggers[own:], named) + own
		if number < own {
			number = slices.IndexFunc(p.loggers, named)
		}
		if number < 0 {
			if odd := fmt.Sprintf("option %q: there is no logger with the name %q: lines that match %q go where the others go", option, r[0], r[1]); !slices.Contains(p.Notices, odd) {
				p.Notices = append(p.Notices, odd)
			}
			continue
		}
		routes = append(routes, route{pattern, number})
	}
	return routes, nil
}

func (p *Plan) encoders(option string, texts []string) (made []encoder, err error) {
	for _, text := range texts {
		e, err := parseEncoder(text, func(odd string) {
			p.Notices = append(p.Notices, fmt.Sprintf("option %q: %s", option, odd))
		})
		if err != nil {
			return nil, &OptionError{option, text, err}
		}
		made = append(made, e)
	}
	return made, nil
}

func alarmRules(cfg *uwsgiopts.Config) (rules []alarmRule, err error) {
	for _, given := range cfg.AlarmLogs {
		pattern, err := pcre.Compile(given.Pattern)
		if err != nil {
			return nil, &OptionError{"alarm-log", given.Text, err}
		}
		rules = append(rules, alarmRule{pattern, given.Alarms, given.Not})
	}
	return rules, nil
}

// Style is the form of lines.
func (p *Plan) Style() Style { return p.style }

// Immediate tells whether there is no logger that has to be opened.
func (p *Plan) Immediate() bool { return len(p.loggers) == 1 }

// Requests tells whether lines about requests go ways of their own.
func (p *Plan) Requests() bool { return p.requests != nil }

func (p *Plan) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}
