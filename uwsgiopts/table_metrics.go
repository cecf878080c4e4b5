package uwsgiopts

import "time"

// metricsOptions declares: Statistics and metrics.
func metricsOptions() []Option {
	return []Option{
		{Names: []string{"enable-metrics"}, Flags: StartsMaster, Doc: "collect metrics", Value: flagOn(func(c *Config) *bool { return &c.EnableMetrics })},
		{Names: []string{"metric"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "add a metric", Value: List.by(setMetric)},
		{Names: []string{"metric-threshold", "metric-alarm", "alarm-metric"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "raise an alarm when a metric passes a value", Value: List.by(setMetricThreshold)},
		{Names: []string{"metrics-dir", "metric-dir"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "write metrics to files in this directory", Value: Text.by(setMetricsDir)},
		{Names: []string{"metrics-dir-restore", "metric-dir-restore"}, Flags: StartsMaster, Doc: "take the values of metrics from that directory at the start", Value: flagOn(func(c *Config) *bool { return &c.MetricsDirRestore })},
		{Names: []string{"metrics-no-cores"}, Flags: StartsMaster, Doc: "do not collect metrics of single cores", Value: flagOn(func(c *Config) *bool { return &c.MetricsNoCores })},
		{Names: []string{"udp"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "listen for multicast messages on this address", Unsupported: "multicast messages are not read; receive them in a mule or an attached daemon"},
		{Names: []string{"stats", "stats-server"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "serve statistics as JSON on this address", Value: Text.by(setStats)},
		{Names: []string{"stats-http"}, Flags: StartsMaster, Doc: "put HTTP headers before the statistics", Value: flagOn(func(c *Config) *bool { return &c.StatsHTTP })},
		{Names: []string{"stats-minified", "stats-min"}, Flags: StartsMaster, Doc: "serve statistics without whitespace", Value: flagOn(func(c *Config) *bool { return &c.StatsMinified })},
		{Names: []string{"stats-push"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "send statistics somewhere: PUSHER:ARGUMENTS", Value: List.by(setStatsPush)},
		{Names: []string{"stats-pusher-default-freq", "stats-pushers-default-freq"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "seconds between sends of statistics", Value: seconds(func(c *Config) *time.Duration { return &c.PushEvery })},
		{Names: []string{"stats-no-cores"}, Flags: StartsMaster, Doc: "leave single cores out of the statistics", Value: flagOn(func(c *Config) *bool { return &c.StatsNoCores })},
		{Names: []string{"stats-no-metrics"}, Flags: StartsMaster, Doc: "leave metrics out of the statistics", Value: flagOn(func(c *Config) *bool { return &c.StatsNoMetrics })},
		{Names: []string{"prometheus"}, Arg: RequiredArg, Flags: StartsMaster | Own, Doc: "serve metrics for Prometheus on this address, at /metrics (PORT alone: of this machine only); may be repeated", Value: managementAddress(func(c *Config) *[]string { return &c.Prometheus })},
		{Names: []string{"status-page"}, Arg: RequiredArg, Flags: StartsMaster | Own, Doc: "serve a page that shows what the instance does, live, on this address (PORT or :PORT: of this machine only); may be repeated", Value: loopbackAddress(func(c *Config) *[]string { return &c.StatusPage })},
		{Names: []string{"snmp"}, Arg: OptionalArg, Flags: StartsMaster, Doc: "give the application uwsgi.snmp_*, and answer SNMP on this UDP address; without one nothing listens", Value: Text.by(setSNMP)},
		{Names: []string{"snmp-community"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "answer SNMP queries for this community; without one no query is answered", Value: Text.by(setSNMPCommunity)},
		{Names: []string{"carbon"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "send statistics to this Carbon server", Value: list(func(c *Config) *[]string { return &c.Carbon })},
		{Names: []string{"carbon-timeout"}, Arg: RequiredArg, Doc: "seconds to wait for the Carbon server", Value: seconds(func(c *Config) *time.Duration { return &c.CarbonTimeout })},
		{Names: []string{"carbon-freq"}, Arg: RequiredArg, Doc: "seconds between messages to the Carbon server", Value: seconds(func(c *Config) *time.Duration { return &c.CarbonEvery })},
		{Names: []string{"carbon-id"}, Arg: RequiredArg, Doc: "name of the instance for Carbon", Value: text(func(c *Config) *string { return &c.CarbonID })},
		{Names: []string{"carbon-no-workers"}, Doc: "do not send statistics of single workers to Carbon", Value: flagOn(func(c *Config) *bool { return &c.CarbonNoWorkers })},
		{Names: []string{"carbon-max-retry"}, Arg: RequiredArg, Doc: "number of tries to reach the Carbon server", Value: number(func(c *Config) *int { return &c.CarbonMaxRetry })},
		{Names: []string{"carbon-retry-delay"}, Arg: RequiredArg, Doc: "seconds between these tries", Value: seconds(func(c *Config) *time.Duration { return &c.CarbonRetryDelay })},
		{Names: []string{"carbon-root"}, Arg: RequiredArg, Doc: "beginning of all names for Carbon", Value: text(func(c *Config) *string { return &c.CarbonRoot })},
		{Names: []string{"carbon-hostname-dots"}, Arg: RequiredArg, Doc: "what to put for the dots of the host name", Value: text(func(c *Config) *string { return &c.CarbonHostnameDots })},
		{Names: []string{"carbon-name-resolve", "carbon-resolve-names"}, Value: Flag, Doc: "look up the Carbon server's name for each message", NoOp: "the name is looked up for each message"},
		{Names: []string{"carbon-idle-avg"}, Arg: RequiredArg, Doc: "what to send as average of an idle worker: last, zero or none", Value: Text.by(setCarbonIdleAvg)},
		{Names: []string{"carbon-use-metrics"}, Doc: "send metrics to Carbon instead of statistics", Value: flagOn(func(c *Config) *bool { return &c.CarbonUseMetrics })},
		{Names: []string{"nagios"}, Doc: "ask the instance at the first socket whether it answers, print a line for Nagios, and exit with its status: 0, 2 (no answer) or 3 (no socket)", Value: flagOn(func(c *Config) *bool { return &c.Nagios })},
		{Names: []string{"rrdtool"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "keep a round-robin database of each metric in this directory; the program rrdtool writes them", Value: List.by(setRRDTool)},
		{Names: []string{"rrdtool-freq"}, Arg: RequiredArg, Doc: "seconds between updates of these databases", Value: seconds(func(c *Config) *time.Duration { return &c.RRDEvery })},
		{Names: []string{"rrdtool-lib"}, Arg: RequiredArg, Doc: "library of RRDtool", NoOp: "the program rrdtool is run, no library is loaded"},
		{Names: []string{"statsd-no-workers"}, Doc: "do not send metrics of single workers to statsd", Value: flagOn(func(c *Config) *bool { return &c.StatsdNoWorkers })},
		{Names: []string{"statsd-all-gauges"}, Doc: "send all metrics to statsd as gauges", Value: flagOn(func(c *Config) *bool { return &c.StatsdAllGauges })},
		{Names: []string{"zabbix-template"}, Arg: OptionalArg, Doc: "print a Zabbix template of the metrics, or write it to this file, and exit", Value: Text.by(setZabbixTemplate)},
	}
}
