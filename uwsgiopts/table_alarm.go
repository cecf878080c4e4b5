package uwsgiopts

// alarmOptions declares: Alarms.
func alarmOptions() []Option {
	return []Option{
		{Names: []string{"alarm"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "define an alarm: NAME KIND:ARGUMENT", Value: List.by(setAlarm)},
		{Names: []string{"alarm-cheap"}, Arg: RequiredArg, Value: Flag, Doc: "do not wait for an alarm to be delivered", NoOp: "alarms are never waited for"},
		{Names: []string{"alarm-freq"}, Arg: RequiredArg, Doc: "seconds that an equal alarm is held back for", Value: number(func(c *Config) *int { return &c.AlarmFreq })},
		{Names: []string{"alarm-fd"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "raise an alarm when a descriptor becomes readable: ALARM FD[:BYTES] MESSAGE; BYTES are read each time (1; 8 for an eventfd)", Value: List.by(setAlarmFD)},
		{Names: []string{"alarm-segfault", "segfault-alarm"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "raise this alarm when a worker crashes", Value: list(func(c *Config) *[]string { return &c.AlarmOnSegfault })},
		{Names: []string{"alarm-backlog", "backlog-alarm", "lq-alarm", "alarm-lq", "alarm-listen-queue", "listen-queue-alarm"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "raise this alarm when a queue of connections is full", Value: list(func(c *Config) *[]string { return &c.AlarmBacklog })},
		{Names: []string{"alarm-log", "log-alarm"}, Arg: RequiredArg, Flags: StartsLogMaster, Doc: "raise an alarm when a log line matches: ALARM REGEXP", Value: alarmLog(false)},
		{Names: []string{"not-log-alarm", "not-alarm-log"}, Arg: RequiredArg, Flags: StartsLogMaster, Doc: "do not raise an alarm when a log line matches: ALARM REGEXP", Value: alarmLog(true)},
		{Names: []string{"alarm-list", "alarms-list"}, Doc: "list the alarms", Value: flagOn(func(c *Config) *bool { return &c.ListAlarms })},
		{Names: []string{"alarm-msg-size"}, Arg: RequiredArg, Doc: "largest message of an alarm, in bytes", Value: smallSize(func(c *Config) *int { return &c.AlarmMsgSize })},
	}
}
