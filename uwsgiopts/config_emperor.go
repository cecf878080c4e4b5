package uwsgiopts

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// EmperorConfig is about an emperor, which runs an instance for each configuration that it finds, and about vassals,
// which are those instances.
type EmperorConfig struct {
	Emperors           []string // directories, patterns, files, databases
	EmperorFreq        time.Duration
	EmperorWrapper     string        // what instances are started with; "": this executable
	EmperorNofollow    bool          // a link's own time counts
	EmperorHeartbeat   time.Duration // within which an instance that has sent one sends the next; 0: any
	EmperorTolerance   time.Duration // that an instance has to end in
	EmperorPidfile     string
	EmperorProcname    string // what ps is to show for it; "": its command line
	EmperorSubreaper   bool   // orphans of instances become its children
	EmperorTyrant      bool   // instances run as the owners of their configurations
	TyrantNofollow     bool   // the owner of a link is not that of its target
	TyrantInitgroups   bool
	EmperorStats       string
	EmperorThrottle    time.Duration // the first wait before an instance that has failed
	EmperorMaxThrottle time.Duration
	EmperorNoBlacklist bool // no waits
	EmperorMagicExec   bool // executable configurations are run, and their output is read
	EmperorExtensions  []string
	EmperorAttributes  []string // keys of [emperor] in configurations
	WrapperAttribute   string
	ChdirAttribute     string
	OnDemandExtension  string
	OnDemandDir        string
	OnDemandExec       string

	VassalOptions []VassalOption
	VassalStart   string // command
	VassalStop    string
	Heartbeat     time.Duration // of this instance to its emperor; 0: none
}

// VassalOption is one that every instance gets.
type VassalOption struct {
	Name, Value string
	Before      bool // before the instance's own
}

func emperorDefaults() EmperorConfig {
	return EmperorConfig{EmperorFreq: 3 * time.Second, EmperorThrottle: time.Second, EmperorMaxThrottle: 3 * time.Minute, EmperorTolerance: 30 * time.Second,
		EmperorHeartbeat: 30 * time.Second}
}

func setEmperor(c *Config, g given) error {
	if g.text == "" {
		return fmt.Errorf("option %q needs a directory, a pattern, a file or a database", g.name)
	}
	if _, _, err := ReadPostgresSource(g.text); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	if scheme, _, ok := strings.Cut(g.text, "://"); ok && !slices.Contains(EmperorSources, scheme) {
		return fmt.Errorf("option %q: configurations cannot be read from %q: name a directory, a pattern, files, or a database (pg://)", g.name, scheme)
	}
	c.Emperors = append(c.Emperors, g.text)
	return nil
}

// EmperorSources are the kinds of places that configurations come from, as KIND://PLACE has them.
var EmperorSources = []string{"dir", "file", "glob", "pg"}

func listMonitors(c *Config, g given) error {
	if g.on() {
		c.Notices = append(c.Notices, "*** uWSGI loaded imperial monitors ***\n"+strings.Join(EmperorSources, "\n")+"\n--- end of imperial monitors list ---")
	}
	return nil
}

func vassalOption(name string, before bool) effect {
	return List.by(func(c *Config, g given) error {
		c.VassalOptions = append(c.VassalOptions, VassalOption{name, g.text, before})
		return nil
	})
}

// ServesItself tells whether an instance with an emperor has something else to do too.
func (c *Config) ServesItself() bool {
	return len(c.Sockets)+len(c.SharedSockets)+len(c.Daemons)+len(c.Smart)+len(c.Crons)+len(c.Modules)+len(c.Mounts) > 0 ||
		c.WSGIFile != "" || c.Eval != "" || c.Paste != ""
}

// emperorsHooks are the options of hooks that an emperor runs, and not an instance.
var emperorsHooks = []string{"hook-emperor-start", "hook-as-emperor", "hook-as-emperor-before-vassal", "exec-as-emperor", "mount-as-emperor", "umount-as-emperor"}

// OnlyReigns tells that there is an emperor, and nothing is served beside it.
func (c *Config) OnlyReigns() bool { return len(c.Emperors) > 0 && !c.ServesItself() }

// EmperorPairs are the settings that are an emperor's.
func (c *Config) EmperorPairs() (all []Pair) {
	own := map[string]bool{"binsh": true}
	for _, name := range emperorsHooks {
		own[name] = true
	}
	for _, o := range emperorOptions() {
		if o.setter() == nil || o.Name() == "heartbeat" {
			continue
		}
		for _, name := range o.Names {
			own[name] = true
		}
	}
	for _, p := range c.Pairs {
		if own[p.Name] {
			all = append(all, p)
		}
	}
	return all
}
