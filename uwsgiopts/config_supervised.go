package uwsgiopts

// SupervisedConfig is what the master looks after beside workers.
type SupervisedConfig struct {
	StatsHTTP     bool
	StatsMinified bool
	StatsNoCores  bool

	TouchWorkersReload []string
	TouchChainReload   []string
}
