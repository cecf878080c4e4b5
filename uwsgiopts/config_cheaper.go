package uwsgiopts

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// CheaperConfig says how many workers run, and when none does.
type CheaperConfig struct {
	Cheap          bool // none before the first connection
	Cheaper        int  // workers to keep; 0: always all of them
	CheaperInitial int  // workers to start with; 0: as Cheaper
	CheaperAlgo    string
	CheaperStep    int
	CheaperOverload,
	CheaperIdle int // seconds
	CheaperRSSSoft,
	CheaperRSSHard int64 // bytes

	Idle           time.Duration // 0: never
	DieOnIdle      bool
	DieOnNoWorkers bool

	BusynessMax, BusynessMin            int // percent
	BusynessMultiplier, BusynessPenalty int // windows
	BusynessVerbose                     bool
	BusynessBacklogAlert                int // connections
	BusynessBacklogMultiplier           int // windows
	BusynessBacklogStep                 int // workers
	BusynessBacklogNonzero              int // seconds
}

func cheaperDefaults() CheaperConfig {
	return CheaperConfig{
		CheaperStep: 1, CheaperOverload: 3, CheaperIdle: 10,
		BusynessMax: 50, BusynessMin: 25, BusynessMultiplier: 10, BusynessPenalty: 2,
		BusynessBacklogAlert: 33, BusynessBacklogMultiplier: 3, BusynessBacklogStep: 1, BusynessBacklogNonzero: 60,
	}
}

// CheaperAlgos are the names that --cheaper-algo takes.
var CheaperAlgos = []string{"busyness", "spare", "spare2", "backlog", "manual"}

func listCheaperAlgos(c *Config, g given) error {
	if g.on() {
		c.Notices = append(c.Notices, "*** uWSGI loaded cheaper algorithms ***\n"+strings.Join(CheaperAlgos, "\n")+"\n--- end of cheaper algorithms list ---")
	}
	return nil
}

// validateCheaper refuses numbers that contradict each other.
func (p *parser) validateCheaper() error {
	c := p.cfg
	if c.Cheaper >= c.Processes {
		return p.refuseValue("cheaper", "invalid cheaper value: %d must be lower than processes, %d", c.Cheaper, c.Processes)
	}
	if c.Cheaper == 0 {
		if p.lastOf("cheaper-initial") != nil {
			c.CheaperInitial = 0
			p.cfg.Notices = append(p.cfg.Notices, "option \"cheaper-initial\" has no effect without cheaper: all workers always run")
		}
		return nil
	}
	if c.CheaperRSSHard > 0 && c.CheaperRSSHard <= c.CheaperRSSSoft {
		return p.refuseValue("cheaper-rss-limit-hard", "%d must be higher than cheaper-rss-limit-soft, %d", c.CheaperRSSHard, c.CheaperRSSSoft)
	}
	if most := min(max(c.CheaperInitial, c.Cheaper), c.Processes); c.CheaperInitial != 0 && c.CheaperInitial != most {
		p.cfg.Notices = append(p.cfg.Notices, fmt.Sprintf("warning: cheaper-initial: %d is taken as %d (cheaper is %d, processes are %d)", c.CheaperInitial, most, c.Cheaper, c.Processes))
		c.CheaperInitial = most
	}
	if c.CheaperInitial == 0 {
		c.CheaperInitial = c.Cheaper
	}
	if c.CheaperAlgo != "" && !slices.Contains(CheaperAlgos, c.CheaperAlgo) {
		p.cfg.Notices = append(p.cfg.Notices, "unable to find requested cheaper algorithm, falling back to spare")
		c.CheaperAlgo = "spare"
	}
	return nil
}
