package uwsgiopts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PushConfig says to whom statistics are sent.
type PushConfig struct {
	Pushes          []Push
	PushEvery       time.Duration // of those that say nothing themselves
	StatsdNoWorkers bool
	StatsdAllGauges bool

	Carbon             []string // host:port
	CarbonTimeout      time.Duration
	CarbonEvery        time.Duration
	CarbonID           string
	CarbonNoWorkers    bool
	CarbonMaxRetry     int
	CarbonRetryDelay   time.Duration
	CarbonRoot         string
	CarbonHostnameDots string // what stands for the dots of the host name; "": they stay
	CarbonIdleAvg      string // last, zero or none
	CarbonUseMetrics   bool

	RRDTool  []string      // directories of round-robin databases
	RRDEvery time.Duration // between updates of them
}

// Push is one destination of --stats-push.
type Push struct {
	Kind    string // socket, statsd, zabbix or file
	Address string // host:port, or the file
	Host    string // what the host is called in Zabbix; "": its own name
	Prefix  string // of names
	Every   time.Duration
	End     string // after each document in a file
}

func pushDefaults() PushConfig {
	return PushConfig{PushEvery: 3 * time.Second, CarbonTimeout: 3 * time.Second, CarbonEvery: 60 * time.Second,
		CarbonRetryDelay: 7 * time.Second, CarbonRoot: "uwsgi.", RRDEvery: 300 * time.Second}
}

// setStatsPush reads PUSHER:ARGUMENTS.
func setStatsPush(c *Config, g given) error {
	kind, arguments, _ := strings.Cut(g.text, ":")
	push := Push{Kind: kind, Prefix: "uwsgi", End: "\n"}
	switch kind {
	case "socket", "statsd":
		address, prefix, named := strings.Cut(arguments, ",")
		push.Address = address
		if named {
			push.Prefix = prefix
		}
	case "zabbix":
		parts := strings.SplitN(arguments, ",", 3)
		push.Address = parts[0]
		if len(parts) > 1 {
			push.Host = parts[1]
		}
		if len(parts) > 2 {
			push.Prefix = parts[2]
		}
	case "file":
		if err := push.file(arguments); err != nil {
			return fmt.Errorf("option %q: %w", g.name, err)
		}
	default:
		return fmt.Errorf("option %q: unable to find %q stats_pusher; available: socket, statsd, zabbix, file", g.name, kind)
	}
	if push.Address == "" {
		return fmt.Errorf("option %q: %q has no destination", g.name, g.text)
	}
	c.Pushes = append(c.Pushes, push)
	return nil
}

// file reads path=,separator=,freq=, or a path alone.
func (p *Push) file(arguments string) error {
	if !strings.Contains(arguments, "=") {
		p.Address = arguments
		return nil
	}
	for part := range strings.SplitSeq(arguments, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "path":
			p.Address = value
		case "separator":
			p.End = value
		case "freq":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return fmt.Errorf("freq: %q is not a number of seconds", value)
			}
			p.Every = time.Duration(n) * time.Second
		default:
			return fmt.Errorf("unknown key %s", key)
		}
	}
	return nil
}

// setRRDTool adds a directory of databases; they hold metrics.
func setRRDTool(c *Config, g given) error {
	if g.text == "" {
		return fmt.Errorf("option %q needs a directory", g.name)
	}
	c.RRDTool, c.EnableMetrics = append(c.RRDTool, g.text), true
	return nil
}

func setCarbonIdleAvg(c *Config, g given) error {
	switch g.text {
	case "last", "zero", "none":
		c.CarbonIdleAvg = g.text
		return nil
	}
	return fmt.Errorf("option %q: %q is not one of last, zero and none", g.name, g.text)
}
