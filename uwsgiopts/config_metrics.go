package uwsgiopts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MetricsConfig is about numbers that the instance keeps of itself, and that applications keep in it.
type MetricsConfig struct {
	EnableMetrics     bool // set by everything that needs them
	Metrics           []Metric
	MetricThresholds  []MetricThreshold
	MetricsDir        string
	MetricsDirRestore bool
	MetricsNoCores    bool
	StatsNoMetrics    bool

	SNMP          bool   // the application has uwsgi.snmp_*
	SNMPAddress   string // host:port, of UDP; "": nothing listens
	SNMPCommunity string // "": nobody is answered, unless the application sets one
}

// SNMPCommunitySize is how long a community may be, in bytes.
const SNMPCommunitySize = 72

// MetricKind is what a metric's number means.
type MetricKind uint8

// The kinds of metrics, with uWSGI's numbers.
const (
	Counter  MetricKind = iota // it only grows
	Gauge                      // it goes up and down
	Absolute                   // set as it is, never summed
	Alias                      // another metric under a second name
)

// Metric is one that the configuration adds.
type Metric struct {
	Name, OID string
	Kind      MetricKind
	Initial   int64
	Collector string        // "": the application sets it; file, sum, avg, accumulator, multiplier
	Every     time.Duration // for a collector; default 1 s
	Path      string        // for file
	Children  []string      // for sum, avg, …
	Of        string        // for an alias
	Factor    int64         // for multiplier; default 1
	Reset     bool          // to Initial after each push
}

// MetricThreshold says what happens when a metric has reached a value.
type MetricThreshold struct {
	Metric  string
	Value   int64
	Alarm   string
	Message string        // "": a standard one
	Rate    time.Duration // at most one alarm in that time
	Reset   int64         // what the metric is set to; with Resets
	Resets  bool
}

var metricKinds = map[string]MetricKind{"counter": Counter, "gauge": Gauge, "absolute": Absolute, "alias": Alias}

// keyValues splits KEY=VALUE,KEY=VALUE.
func keyValues(g given, set func(key, value string) error) error {
	for part := range strings.SplitSeq(g.text, ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("option %q: %q is not KEY=VALUE", g.name, part)
		}
		if err := set(strings.TrimSpace(key), value); err != nil {
			return fmt.Errorf("option %q: %w", g.name, err)
		}
	}
	return nil
}

// setMetric reads NAME, or KEY=VALUE,KEY=VALUE.
func setMetric(c *Config, g given) error {
	m := Metric{Every: time.Second, Factor: 1}
	if !strings.Contains(g.text, "=") {
		m.Name = g.text
	} else if err := keyValues(g, m.set); err != nil {
		return err
	}
	switch {
	case m.Name == "":
		return fmt.Errorf("option %q: %q has no name", g.name, g.text)
	case slices.ContainsFunc(c.Metrics, func(other Metric) bool { return other.Name == m.Name }):
		return fmt.Errorf("option %q: the metric %q is defined twice", g.name, m.Name)
	case m.Kind == Alias && m.Of == "":
		return fmt.Errorf("option %q: %q has no alias=NAME", g.name, m.Name)
	case m.Collector == "file" && m.Path == "":
		return fmt.Errorf("option %q: %q has no arg1=FILE", g.name, m.Name)
	}
	c.EnableMetrics = true
	c.Metrics = append(c.Metrics, m)
	return nil
}

func (m *Metric) set(key, value string) (err error) {
	switch key {
	case "name":
		m.Name = value
	case "oid":
		m.OID = value
	case "type":
		kind, ok := metricKinds[value]
		if !ok {
			return fmt.Errorf("type %q is not one of counter, gauge, absolute, alias", value)
		}
		m.Kind = kind
	case "initial_value":
		m.Initial, err = strconv.ParseInt(value, 10, 64)
	case "collector":
		if !slices.Contains([]string{"ptr", "manual", "file", "sum", "avg", "accumulator", "adder", "multiplier"}, value) {
			return fmt.Errorf("collector %q is not one of manual, file, sum, avg, accumulator, adder, multiplier", value)
		}
		m.Collector = value
	case "freq":
		var seconds uint64
		seconds, err = strconv.ParseUint(value, 10, 31)
		m.Every = time.Duration(max(seconds, 1)) * time.Second
	case "arg1":
		m.Path = value
	case "arg1n":
		m.Factor, err = strconv.ParseInt(value, 10, 64)
	case "arg2", "arg3", "arg2n", "arg3n": // no collector reads them
	case "children":
		m.Children = strings.Split(value, ";")
	case "alias":
		m.Of, m.Kind = value, Alias
	case "reset_after_push":
		m.Reset = true
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func setMetricThreshold(c *Config, g given) error {
	var t MetricThreshold
	err := keyValues(g, func(key, value string) (err error) {
		switch key {
		case "key":
			t.Metric = value
		case "value":
			t.Value, err = strconv.ParseInt(value, 10, 64)
		case "alarm":
			t.Alarm = value
		case "msg":
			t.Message = value
		case "rate":
			var seconds uint64
			seconds, err = strconv.ParseUint(value, 10, 31)
			t.Rate = time.Duration(seconds) * time.Second
		case "reset":
			t.Resets = true
			t.Reset, err = strconv.ParseInt(value, 10, 64)
		default:
			return fmt.Errorf("unknown key %q", key)
		}
		return err
	})
	if err == nil && t.Metric == "" {
		err = fmt.Errorf("option %q: %q has no key=METRIC", g.name, g.text)
	}
	if err != nil {
		return err
	}
	c.EnableMetrics = true
	c.MetricThresholds = append(c.MetricThresholds, t)
	return nil
}

func setMetricsDir(c *Config, g given) error {
	if g.text == "" {
		return fmt.Errorf("option %q needs a directory", g.name)
	}
	c.EnableMetrics, c.MetricsDir = true, g.text
	return nil
}

func setSNMP(c *Config, g given) error {
	c.SNMP, c.SNMPAddress = true, g.text
	switch {
	case g.flag || g.text == "true" || g.text == "1":
		c.SNMPAddress = ""
	case g.text != "" && isPath(g.text):
		return fmt.Errorf("option %q needs an address and a port: 127.0.0.1:161, or :161 for all addresses", g.name)
	}
	return nil
}

func setSNMPCommunity(c *Config, g given) error {
	if len(g.text) > SNMPCommunitySize {
		return fmt.Errorf("option %q: a community may have at most %d bytes", g.name, SNMPCommunitySize)
	}
	c.SNMP, c.SNMPCommunity = true, g.text
	return nil
}

// noteSNMP tells why SNMP will not be answered, where it looks as if it should.
func (p *parser) noteSNMP() {
	switch cfg := p.cfg; {
	case cfg.SNMP && cfg.SNMPAddress == "":
		p.note(cfg.OriginOf("snmp", ""), "snmp: no address is given, so nothing listens; uwsgi.snmp_* works in the application")
	case cfg.SNMP && cfg.SNMPCommunity == "":
		p.note(cfg.OriginOf("snmp", cfg.SNMPAddress), "snmp: no query is answered until a community is set (--snmp-community, uwsgi.snmp_set_community)")
	}
}
