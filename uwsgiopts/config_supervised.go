package uwsgiopts

// SupervisedConfig is what the master looks after beside workers.
type SupervisedConfig struct {
	StatsHTTP     bool
	StatsMinified bool
	StatsNoCores  bool

	TouchWorkersReload []string
	TouchChainReload   []string

	Hooks []Hook // --hook-PHASE and --exec-PHASE, in order
}

// Hook is what is to be done in a phase of the instance's life.
type Hook struct {
	Phase   string // as in the option's name: asap, pre-jail, …
	Command bool   // Text is a shell command (--exec-PHASE), else ACTION:ARGUMENT
	Text    string
}

func hook(phase string) setter {
	return func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Text: g.text})
		return nil
	}
}

func execute(phase string) setter {
	return func(c *Config, g given) error {
		c.Hooks = append(c.Hooks, Hook{Phase: phase, Command: true, Text: g.text})
		return nil
	}
}
