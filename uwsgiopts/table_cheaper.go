package uwsgiopts

import "time"

// cheaperOptions declares: Cheaper: adaptive numbers of workers.
func cheaperOptions() []Option {
	return []Option{
		{Names: []string{"cheap"}, Kind: Flag, Flags: StartsMaster, Doc: "start workers at the first request", set: flagOn(func(c *Config) *bool { return &c.Cheap })},
		{Names: []string{"cheaper"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "smallest number of workers to keep", set: number(func(c *Config) *int { return &c.Cheaper })},
		{Names: []string{"cheaper-initial"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "number of workers to start with", set: number(func(c *Config) *int { return &c.CheaperInitial })},
		{Names: []string{"cheaper-algo"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "way of choosing the number of workers: spare, spare2, backlog, busyness …", set: text(func(c *Config) *string { return &c.CheaperAlgo })},
		{Names: []string{"cheaper-step"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "number of workers to add at once", set: number(func(c *Config) *int { return &c.CheaperStep })},
		{Names: []string{"cheaper-overload"}, Arg: RequiredArg, Kind: Wide, Flags: StartsMaster, Doc: "seconds between decisions about the number of workers", set: number(func(c *Config) *int { return &c.CheaperOverload })},
		{Names: []string{"cheaper-idle"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "seconds of idleness after which a worker may go", set: number(func(c *Config) *int { return &c.CheaperIdle })},
		{Names: []string{"cheaper-algos-list", "cheaper-algo-list", "cheaper-list"}, Kind: Flag, Doc: "list the ways of choosing the number of workers", set: listCheaperAlgos},
		{Names: []string{"cheaper-rss-limit-soft"}, Arg: RequiredArg, Kind: Bytes, Flags: StartsMaster, Doc: "add no worker when all together hold more memory than this, in bytes", set: size(func(c *Config) *int64 { return &c.CheaperRSSSoft })},
		{Names: []string{"cheaper-rss-limit-hard"}, Arg: RequiredArg, Kind: Bytes, Flags: StartsMaster, Doc: "remove workers when all together hold more memory than this, in bytes", set: size(func(c *Config) *int64 { return &c.CheaperRSSHard })},
		{Names: []string{"idle"}, Arg: RequiredArg, Kind: Int, Flags: StartsMaster, Doc: "seconds without requests after which workers go to sleep", set: seconds(func(c *Config) *time.Duration { return &c.Idle })},
		{Names: []string{"die-on-idle"}, Kind: Flag, Doc: "stop instead of going to sleep", set: flagOn(func(c *Config) *bool { return &c.DieOnIdle })},
		{Names: []string{"die-on-no-workers"}, Kind: Flag, Doc: "stop when no worker is left", set: flagOn(func(c *Config) *bool { return &c.DieOnNoWorkers })},
		{Names: []string{"cheaper-busyness-max"}, Arg: RequiredArg, Kind: Wide, Doc: "add a worker when the workers are busier than this, in percent", set: number(func(c *Config) *int { return &c.BusynessMax })},
		{Names: []string{"cheaper-busyness-min"}, Arg: RequiredArg, Kind: Wide, Doc: "remove a worker when the workers are less busy than this, in percent", set: number(func(c *Config) *int { return &c.BusynessMin })},
		{Names: []string{"cheaper-busyness-multiplier"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds below the minimum after which a worker goes", set: number(func(c *Config) *int { return &c.BusynessMultiplier })},
		{Names: []string{"cheaper-busyness-penalty"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds to add to that when a worker had to come back", set: number(func(c *Config) *int { return &c.BusynessPenalty })},
		{Names: []string{"cheaper-busyness-verbose"}, Kind: Flag, Doc: "log the decisions", set: flagOn(func(c *Config) *bool { return &c.BusynessVerbose })},
		{Names: []string{"cheaper-busyness-backlog-alert"}, Arg: RequiredArg, Kind: Int, Doc: "add workers at once when this many connections wait", set: number(func(c *Config) *int { return &c.BusynessBacklogAlert })},
		{Names: []string{"cheaper-busyness-backlog-multiplier"}, Arg: RequiredArg, Kind: Wide, Doc: "rounds to keep such workers for", set: number(func(c *Config) *int { return &c.BusynessBacklogMultiplier })},
		{Names: []string{"cheaper-busyness-backlog-step"}, Arg: RequiredArg, Kind: Int, Doc: "number of such workers to add at once", set: number(func(c *Config) *int { return &c.BusynessBacklogStep })},
		{Names: []string{"cheaper-busyness-backlog-nonzero"}, Arg: RequiredArg, Kind: Wide, Doc: "add a worker when any connection has waited for this many seconds", set: number(func(c *Config) *int { return &c.BusynessBacklogNonzero })},
	}
}
