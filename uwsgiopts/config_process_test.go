package uwsgiopts

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValuesOfProcessOptions(t *testing.T) {
	tests := []struct {
		args string
		got  func(c *Config) any
		want any
	}{
		{"--map-socket|0:1|--map-socket|1:2,3|--map-socket|0:3|-s|:1|-s|:2|-p|3", func(c *Config) any { return c.MapSockets }, map[int][]int{0: {1, 3}, 1: {2, 3}}},
		{"--reload-on-fd|5|--reload-on-fd|6:8", func(c *Config) any { return c.ReloadOnFD }, []int{5, 6}},
		{"--prio|-5", func(c *Config) any { return c.Prio }, -5},
		{"--limit-as|1.5", func(c *Config) any { return c.LimitAS }, int64(3 << 19)},
		{"--harakiri|5", func(c *Config) any { return c.HarakiriGracefulSignal }, 15},
		{"--set|so-send-timeout=9", func(c *Config) any { return c.SendTimeout }, 9 * time.Second},
		{"--flock|a|--flock-wait|b", func(c *Config) any { return c.Flocks }, []Flock{{"a", false}, {"b", true}}},
		{"--smart-attach-daemon|p.pid,5 run it", func(c *Config) any { return c.Smart },
			[]Daemon{{Command: "run it", Pidfile: "p.pid", Freq: 5, StopSignal: 15}}},
		{"--attach-daemon2|cmd=run,pidfile=p,daemonize=true,reloadsignal=1,control=1", func(c *Config) any { return c.Smart },
			[]Daemon{{Command: "run", Pidfile: "p", Daemonize: true, Control: true, Freq: 10, StopSignal: 15, ReloadSignal: 1}}},
		{"--stats-push|statsd:host:8125,shop", func(c *Config) any { return c.Pushes }, []Push{{Kind: "statsd", Address: "host:8125", Prefix: "shop", End: "\n"}}},
		{"--stats-push|file:path=/x,freq=9,separator=;", func(c *Config) any { return c.Pushes },
			[]Push{{Kind: "file", Address: "/x", Prefix: "uwsgi", End: ";", Every: 9 * time.Second}}},
		{"--stats-push|file:/x", func(c *Config) any { return c.Pushes[0].Address }, "/x"},
		{"--cheaper|2|-p|4", func(c *Config) any { return c.CheaperInitial }, 2},
		{"--cheaper|2|-p|4|--cheaper-initial|9", func(c *Config) any { return c.CheaperInitial }, 4},
		{"--cheaper|2|-p|4|--cheaper-initial|1", func(c *Config) any { return c.CheaperInitial }, 2},
		{"--cheaper-initial|2|-p|4", func(c *Config) any { return c.CheaperInitial }, 0},
		{"--cheaper|1|-p|4|--cheaper-algo|none", func(c *Config) any { return c.CheaperAlgo }, "spare"},
		{"--set|cheaper=true", func(c *Config) any { return c.Cheaper }, 0}, // as uWSGI reads it
	}
	for _, tt := range tests {
		cfg, _, err := parseIn(t, nil, nil, strings.Split(tt.args, "|")...)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		if got := tt.got(cfg); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

func TestValuesOfProcessOptionsThatAreRefused(t *testing.T) {
	for args, word := range map[string]string{
		"--cheaper|4|-p|4": "must be lower than processes",
		"--cheaper|1|-p|4|--cheaper-rss-limit-soft|9|--cheaper-rss-limit-hard|9": "higher",
		"--max-worker-lifetime|10":                    "must be more than min-worker-lifetime (10)",
		"--map-socket|0:1":                            "no socket 0",
		"--map-socket|0:2|-s|:1":                      "no worker 2",
		"--map-socket|x:1":                            "number of a socket",
		"--map-socket|0":                              "number of a worker",
		"--reload-on-fd|x":                            "not a descriptor",
		"--harakiri-graceful-signal|9":                "not a signal",
		"--smart-attach-daemon|p":                     "PIDFILE COMMAND",
		"--smart-attach-daemon|p,x c":                 "number of seconds",
		"--attach-daemon2|pidfile=p":                  "a command",
		"--stats-push|mongodb:x":                      "unable to find",
		"--stats-push|socket:":                        "no destination",
		"--stats-push|file:path=x,y=1":                "unknown key y",
		"--carbon-idle-avg|sometimes":                 "last, zero and none",
		"--http-modifier1|5":                          "is not served",
		"--pull-header|X-User":                        "HEADER VARIABLE",
		"--cgroup-dir-mode|9":                         "octal",
		"--cgroup|g|--cgroup-opt|memory.max":          "not KEY=VALUE",
		"--cgroup|g|--cgroup-opt|../x/memory.max=1":   "not KEY=VALUE",
		"--cgroup-opt|memory.max=1":                   "add --cgroup",
		"--snmp=161":                                  "needs an address and a port",
		"--snmp=/run/snmp.sock":                       "needs an address and a port",
		"--snmp-community|" + strings.Repeat("x", 73): "at most 72 bytes",
	} {
		if _, _, err := parseIn(t, nil, nil, strings.Split(args, "|")...); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q", args, err, word)
		}
	}
}

func TestWhatCheaperTellsAtTheStart(t *testing.T) {
	for args, want := range map[string]string{
		"--cheaper 1 -p 4 --cheaper-algo none": "unable to find requested cheaper algorithm, falling back to spare",
		"--cheaper-initial 2 -p 4":             `option "cheaper-initial" has no effect without cheaper: all workers always run`,
		"--cheaper 1 -p 4 --cheaper-initial 9": "warning: cheaper-initial: 9 is taken as 4 (cheaper is 1, processes are 4)",
		"--cheaper-algos-list":                 "*** uWSGI loaded cheaper algorithms ***\nbusyness\nspare\nspare2\nbacklog\nmanual\n--- end of cheaper algorithms list ---",
	} {
		cfg, _, err := parseIn(t, nil, nil, strings.Fields(args)...)
		if err != nil || !slices.Contains(cfg.Notices, want) {
			t.Errorf("%s: %q, %v", args, cfg.Notices, err)
		}
	}
}
