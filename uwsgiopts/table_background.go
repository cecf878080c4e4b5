package uwsgiopts

import "time"

// backgroundOptions declares: Mules, spoolers, timers and daemons.
func backgroundOptions() []Option {
	return []Option{
		{Names: []string{"mule-reload-mercy"}, Arg: RequiredArg, Doc: "seconds that mules have to end in at a reload or stop", Value: seconds(func(c *Config) *time.Duration { return &c.MuleReloadMercy })},
		{Names: []string{"spooler"}, Short: 'Q', Arg: RequiredArg, Flags: StartsMaster, Doc: "run tasks from this directory", Value: setSpooler(false)},
		{Names: []string{"spooler-external"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "send tasks to this directory, which another instance works on", Value: setSpooler(true)},
		{Names: []string{"spooler-ordered"}, Doc: "run tasks in the order of their names", Value: flagOn(func(c *Config) *bool { return &c.SpoolerOrdered })},
		{Names: []string{"spooler-chdir"}, Arg: RequiredArg, Doc: "change to this directory before running tasks", Value: text(func(c *Config) *string { return &c.SpoolerChdir })},
		{Names: []string{"spooler-processes"}, Arg: RequiredArg, Doc: "number of processes for each spooler", Value: Int.by(setSpoolerProcesses)},
		{Names: []string{"spooler-quiet"}, Doc: "do not log tasks", Value: flagOn(func(c *Config) *bool { return &c.SpoolerQuiet })},
		{Names: []string{"spooler-max-tasks"}, Arg: RequiredArg, Doc: "replace a spooler after this many tasks", Value: number(func(c *Config) *int { return &c.SpoolerMaxTasks })},
		{Names: []string{"spooler-signal-as-task"}, Doc: "count signals as tasks", Value: flagOn(func(c *Config) *bool { return &c.SpoolerSignalAsTask })},
		{Names: []string{"spooler-harakiri"}, Arg: RequiredArg, Doc: "end a spooler whose task takes longer than this many seconds", Value: seconds(func(c *Config) *time.Duration { return &c.SpoolerHarakiri })},
		{Names: []string{"spooler-frequency", "spooler-freq"}, Arg: RequiredArg, Doc: "seconds between looks into the directories", Value: number(func(c *Config) *int { return &c.SpoolerFrequency })},
		{Names: []string{"spooler-cheap"}, Value: Flag, Doc: "run spoolers only while there are tasks", NoOp: "an idle spooler uses no CPU, and its unmodified memory is shared"},
		{Names: []string{"mule"}, Arg: OptionalArg, Flags: StartsMaster, Doc: "start a mule, a process for work in the background; with a value it runs this file or function", Value: List.by(setMule)},
		{Names: []string{"mules"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "start this many mules", Value: Int.by(setMules)},
		{Names: []string{"farm"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "group mules: NAME:MULE[,MULE]", Value: List.by(setFarm)},
		{Names: []string{"mule-msg-size"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "size of the buffers of messages to mules, in bytes", Value: number(func(c *Config) *int { return &c.MuleMsgSize })},
		{Names: []string{"mule-msg-recv-size"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "largest message that a mule takes, in bytes", Value: number(func(c *Config) *int { return &c.MuleMsgRecvSize })},
		{Names: []string{"signal"}, Arg: RequiredArg, Flags: Immediate, Doc: "send a uwsgi signal to an instance and exit: ADDRESS,NUMBER", Value: Text.by(setRemoteSignal)},
		{Names: []string{"signal-bufsize", "signals-bufsize"}, Arg: RequiredArg, Doc: "size of the signals' buffers, in bytes", Value: number(func(c *Config) *int { return &c.SignalBufsize })},
		{Names: []string{"timer", "signal-timer"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "raise a uwsgi signal every so many seconds: SIGNAL SECONDS", Value: List.by(setSignalTimer)},
		{Names: []string{"signal-rbtimer", "rbtimer"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "as timer", Value: List.by(setSignalTimer)},
		{Names: []string{"cron"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "run a command by the clock: MINUTE HOUR DAY MONTH WEEKDAY COMMAND", Value: cron(false)},
		{Names: []string{"cron2"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "run a command by the clock: minute=…,hour=…,unique=1 COMMAND", Value: List.by(setCron2)},
		{Names: []string{"unique-cron"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "as cron, unless the last run still lasts", Value: cron(true)},
		{Names: []string{"cron-harakiri"}, Arg: RequiredArg, Doc: "end cron commands that take longer than this many seconds", Value: seconds(func(c *Config) *time.Duration { return &c.CronHarakiri })},
		{Names: []string{"attach-daemon"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "run a command beside the workers and start it again when it ends", Value: daemon(false)},
		{Names: []string{"attach-control-daemon"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "as attach-daemon, and stop the instance when it ends", Value: daemon(true)},
		{Names: []string{"smart-attach-daemon"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "run a command that goes to the background and outlives the instance: PIDFILE[,SECONDS] COMMAND", Value: smartDaemon(false)},
		{Names: []string{"smart-attach-daemon2"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "the same for a command that stays in the foreground: PIDFILE[,SECONDS] COMMAND", Value: smartDaemon(true)},
		{Names: []string{"daemons-honour-stdin"}, Flags: StartsMaster, Doc: "leave standard input open for daemons", Value: flagOn(func(c *Config) *bool { return &c.DaemonsHonourStdin })},
		{Names: []string{"attach-daemon2"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "run a command beside the workers: cmd=COMMAND,KEY=VALUE,… (docs/daemons.md has the keys)", Value: List.by(setDaemon2)},
		{Names: []string{"curl-cron", "cron-curl"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "fetch a URL by the clock: MINUTE HOUR DAY MONTH WEEKDAY URL", Value: curlCron()},
		{Names: []string{"legion-curl-cron", "legion-cron-curl", "curl-cron-legion", "cron-curl-legion"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "the same, on the lord of a legion", Unsupported: noLegion},
	}
}
