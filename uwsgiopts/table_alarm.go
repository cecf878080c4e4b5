package uwsgiopts

// alarmOptions declares: Alarms.
func alarmOptions() []Option {
	return []Option{
		{Names: []string{"alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "define an alarm: NAME KIND:ARGUMENT", set: setAlarm},
		{Names: []string{"alarm-cheap"}, Arg: RequiredArg, Kind: Flag, Doc: "do not wait for an alarm to be delivered", NoOp: "no alarm is ever waited for"},
		{Names: []string{"alarm-freq"}, Arg: RequiredArg, Kind: Int, Doc: "seconds that an equal alarm is held back for", set: number(func(c *Config) *int { return &c.AlarmFreq })},
		{Names: []string{"alarm-fd"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise an alarm when a descriptor becomes readable: ALARM FD"},
		{Names: []string{"alarm-segfault", "segfault-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise this alarm when a worker crashes", set: list(func(c *Config) *[]string { return &c.AlarmOnSegfault })},
		{Names: []string{"alarm-backlog", "backlog-alarm", "lq-alarm", "alarm-lq", "alarm-listen-queue", "listen-queue-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise this alarm when a queue of connections is full", set: list(func(c *Config) *[]string { return &c.AlarmBacklog })},
		{Names: []string{"alarm-log", "log-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsLogMaster, Doc: "raise an alarm when a log line matches: ALARM REGEXP", set: alarmLog(false)},
		{Names: []string{"not-log-alarm", "not-alarm-log"}, Arg: RequiredArg, Kind: List, Flags: StartsLogMaster, Doc: "do not raise an alarm when a log line matches: ALARM REGEXP", set: alarmLog(true)},
		{Names: []string{"alarm-list", "alarms-list"}, Kind: Flag, Doc: "list the alarms", set: flagOn(func(c *Config) *bool { return &c.ListAlarms })},
		{Names: []string{"alarm-msg-size"}, Arg: RequiredArg, Kind: Bytes, Doc: "largest message of an alarm, in bytes", set: smallSize(func(c *Config) *int { return &c.AlarmMsgSize })},
	}
}
