package uwsgiopts

import "time"

// cheaperOptions declares: Cheaper: adaptive numbers of workers.
func cheaperOptions() []Option {
	return []Option{
		{Names: []string{"cheap"}, Flags: StartsMaster, Doc: "start workers at the first request", Value: flagOn(func(c *Config) *bool { return &c.Cheap })},
		{Names: []string{"cheaper"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "smallest number of workers to keep", Value: number(func(c *Config) *int { return &c.Cheaper })},
		{Names: []string{"cheaper-initial"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "number of workers to start with", Value: number(func(c *Config) *int { return &c.CheaperInitial })},
		{Names: []string{"cheaper-algo"}, Arg: RequiredArg, Flags: StartsMaster, Default: "spare", Doc: "way of choosing the number of workers: spare, spare2, backlog, busyness …", Value: text(func(c *Config) *string { return &c.CheaperAlgo })},
		{Names: []string{"cheaper-step"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "number of workers to add at once", Value: number(func(c *Config) *int { return &c.CheaperStep })},
		{Names: []string{"cheaper-overload"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "seconds between decisions about the number of workers", Value: number(func(c *Config) *int { return &c.CheaperOverload })},
		{Names: []string{"cheaper-idle"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "seconds of idleness after which a worker may go", Value: number(func(c *Config) *int { return &c.CheaperIdle })},
		{Names: []string{"cheaper-algos-list", "cheaper-algo-list", "cheaper-list"}, Doc: "list the ways of choosing the number of workers", Value: Flag.by(listCheaperAlgos)},
		{Names: []string{"cheaper-rss-limit-soft"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "add no worker when all together hold more memory than this, in bytes", Value: size(func(c *Config) *int64 { return &c.CheaperRSSSoft })},
		{Names: []string{"cheaper-rss-limit-hard"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "remove workers when all together hold more memory than this, in bytes", Value: size(func(c *Config) *int64 { return &c.CheaperRSSHard })},
		{Names: []string{"idle"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "seconds without requests after which workers go to sleep", Value: seconds(func(c *Config) *time.Duration { return &c.Idle })},
		{Names: []string{"die-on-idle"}, Doc: "stop instead of going to sleep", Value: flagOn(func(c *Config) *bool { return &c.DieOnIdle })},
		{Names: []string{"die-on-no-workers"}, Doc: "stop when no worker is left", Value: flagOn(func(c *Config) *bool { return &c.DieOnNoWorkers })},
		{Names: []string{"cheaper-busyness-max"}, Arg: RequiredArg, Doc: "add a worker when the workers are busier than this, in percent", Value: number(func(c *Config) *int { return &c.BusynessMax })},
		{Names: []string{"cheaper-busyness-min"}, Arg: RequiredArg, Doc: "remove a worker when the workers are less busy than this, in percent", Value: number(func(c *Config) *int { return &c.BusynessMin })},
		{Names: []string{"cheaper-busyness-multiplier"}, Arg: RequiredArg, Doc: "rounds below the minimum after which a worker goes", Value: number(func(c *Config) *int { return &c.BusynessMultiplier })},
		{Names: []string{"cheaper-busyness-penalty"}, Arg: RequiredArg, Doc: "rounds to add to that when a worker had to come back", Value: number(func(c *Config) *int { return &c.BusynessPenalty })},
		{Names: []string{"cheaper-busyness-verbose"}, Doc: "log the decisions", Value: flagOn(func(c *Config) *bool { return &c.BusynessVerbose })},
		{Names: []string{"cheaper-busyness-backlog-alert"}, Arg: RequiredArg, Doc: "add workers at once when this many connections wait", Value: number(func(c *Config) *int { return &c.BusynessBacklogAlert })},
		{Names: []string{"cheaper-busyness-backlog-multiplier"}, Arg: RequiredArg, Doc: "rounds to keep such workers for", Value: number(func(c *Config) *int { return &c.BusynessBacklogMultiplier })},
		{Names: []string{"cheaper-busyness-backlog-step"}, Arg: RequiredArg, Doc: "number of such workers to add at once", Value: number(func(c *Config) *int { return &c.BusynessBacklogStep })},
		{Names: []string{"cheaper-busyness-backlog-nonzero"}, Arg: RequiredArg, Doc: "add a worker when any connection has waited for this many seconds", Value: number(func(c *Config) *int { return &c.BusynessBacklogNonzero })},
	}
}
