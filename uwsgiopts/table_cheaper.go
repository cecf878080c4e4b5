package uwsgiopts

// cheaperOptions declares: Cheaper: adaptive numbers of workers.
func cheaperOptions() []Option {
	return []Option{
		{Names: []string{"cheap"}, Kind: Flag, Flags: StartsMaster, Doc: "start workers at the first request"},
		{Names: []string{"cheaper"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "smallest number of workers to keep"},
		{Names: []string{"cheaper-initial"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "number of workers to start with"},
		{Names: []string{"cheaper-algo"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "way of choosing the number of workers: spare, spare2, backlog, busyness …"},
		{Names: []string{"cheaper-step"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "number of workers to add at once"},
		{Names: []string{"cheaper-overload"}, Arg: RequiredArg, Kind: Wide, Flags: StartsMaster, Doc: "seconds between decisions about the number of workers"},
		{Names: []string{"cheaper-idle"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "seconds of idleness after which a worker may go"},
		{Names: []string{"cheaper-algos-list", "cheaper-algo-list", "cheaper-list"}, Kind: Flag, Doc: "list the ways of choosing the number of workers"},
		{Names: []string{"cheaper-rss-limit-soft"}, Arg: RequiredArg, Kind: Bytes, Flags: StartsMaster, Doc: "add no worker when all together hold more memory than this, in bytes"},
		{Names: []string{"cheaper-rss-limit-hard"}, Arg: RequiredArg, Kind: Bytes, Flags: StartsMaster, Doc: "remove workers when all together hold more memory than this, in bytes"},
		{Names: []string{"idle"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "seconds without requests after which workers go to sleep"},
		{Names: []string{"die-on-idle"}, Kind: Flag, Doc: "stop instead of going to sleep"},
		{Names: []string{"die-on-no-workers"}, Kind: Flag, Doc: "stop when no worker is left"},
		{Names: []string{"cheaper-busyness-max"}, Arg: RequiredArg, Kind: Wide, Doc: "add a worker when the workers are busier than this, in percent"},
		{Names: []string{"cheaper-busyness-min"}, Arg: RequiredArg, Kind: Wide, Doc: "remove a worker when the workers are less busy than this, in percent"},
		{Names: []string{"cheaper-busyness-multiplier"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds below the minimum after which a worker goes"},
		{Names: []string{"cheaper-busyness-penalty"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds to add to that when a worker had to come back"},
		{Names: []string{"cheaper-busyness-verbose"}, Kind: Flag, Doc: "log the decisions"},
		{Names: []string{"cheaper-busyness-backlog-alert"}, Arg: RequiredArg, Kind: Int, Doc: "add workers at once when this many connections wait"},
		{Names: []string{"cheaper-busyness-backlog-multiplier"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds to keep such workers for"},
		{Names: []string{"cheaper-busyness-backlog-step"}, Arg: RequiredArg, Kind: Int, Doc: "number of such workers to add at once"},
		{Names: []string{"cheaper-busyness-backlog-nonzero"}, Arg: RequiredArg, Kind: Wide, Doc: "add a worker when any connection has waited for this many seconds"},
	}
}
