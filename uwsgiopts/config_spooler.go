package uwsgiopts

import (
	"fmt"
	"math"
	"path/filepath"
	"time"
)

// SpoolerConfig says which directories hold jobs, and how they are worked on.
type SpoolerConfig struct {
	Spoolers []Spooler // in the order given; the first one takes jobs that name none

	SpoolerOrdered      bool          // jobs run in the order of their priorities and names
	SpoolerFrequency    int           // seconds between looks into a directory that nobody told of
	SpoolerMaxTasks     int           // of a process; 0: no limit
	SpoolerHarakiri     time.Duration // of a job; 0: no limit
	SpoolerQuiet        bool          // jobs are not logged
	SpoolerChdir        string        // where jobs run; "": in their directory
	SpoolerImports      []string
	SpoolerSignalAsTask bool // signals count as jobs
}

// Spooler is a directory of jobs.
type Spooler struct {
	Dir       string // absolute
	Processes int    // 0: another instance works on it
	External  bool
}

// setSpooler adds a directory. It relates to where the process was started, whatever chdir says.
func setSpooler(external bool) effect {
	return List.by(func(c *Config, g given) error {
		if g.text == "" {
			return fmt.Errorf("option %q needs a directory", g.name)
		}
		dir := filepath.Clean(g.text)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(c.StartDir, dir)
		}
		one := Spooler{Dir: dir, External: external}
		if !external {
			one.Processes = max(c.spoolerProcesses, 1)
		}
		c.Spoolers = append(c.Spoolers, one)
		return nil
	})
}

// setSpoolerProcesses holds for all directories, before it and after it: uWSGI reads it before all other options.
func setSpoolerProcesses(c *Config, g given) error {
	const most = 1000
	n, err := g.integer(math.MaxInt32)
	if err == nil && n > most {
		err = fmt.Errorf("option %q: %d processes: must be at most %d", g.name, n, most)
	}
	c.spoolerProcesses = max(int(n), 1)
	for i := range c.Spoolers {
		if !c.Spoolers[i].External {
			c.Spoolers[i].Processes = c.spoolerProcesses
		}
	}
	return err
}
