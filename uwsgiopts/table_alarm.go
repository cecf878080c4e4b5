package uwsgiopts

// alarmOptions declares: Alarms.
func alarmOptions() []Option {
	return []Option{
		{Names: []string{"alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "define an alarm: NAME PLUGIN:ARGUMENTS"},
		{Names: []string{"alarm-cheap"}, Arg: RequiredArg, Kind: Flag, Doc: "do not wait for an alarm to be delivered"},
		{Names: []string{"alarm-freq"}, Arg: RequiredArg, Kind: Int, Doc: "seconds that an equal alarm is held back for"},
		{Names: []string{"alarm-fd"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise an alarm when a descriptor becomes readable: ALARM FD"},
		{Names: []string{"alarm-segfault", "segfault-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise this alarm when a worker crashes"},
		{Names: []string{"alarm-backlog", "backlog-alarm", "lq-alarm", "alarm-lq", "alarm-listen-queue", "listen-queue-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsMaster, Doc: "raise this alarm when a queue of connections is full"},
		{Names: []string{"alarm-log", "log-alarm"}, Arg: RequiredArg, Kind: List, Flags: StartsLogMaster, Doc: "raise an alarm when a log line matches: ALARM REGEXP"},
		{Names: []string{"not-log-alarm", "not-alarm-log"}, Arg: RequiredArg, Kind: List, Flags: StartsLogMaster, Doc: "do not raise an alarm when a log line matches: ALARM REGEXP"},
		{Names: []string{"alarm-list", "alarms-list"}, Kind: Flag, Doc: "list the alarms"},
		{Names: []string{"alarm-msg-size"}, Arg: RequiredArg, Kind: Bytes, Doc: "largest message of an alarm, in bytes"},
	}
}
