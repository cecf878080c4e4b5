package uwsgiopts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MuleConfig is about mules, farms and uwsgi signals.
type MuleConfig struct {
	Mules           []Mule
	Farms           []Farm
	MuleHarakiri    time.Duration // 0: none
	MuleReloadMercy time.Duration // that mules have to end in; default 60 s
	MuleMsgSize     int           // of the sockets' buffers, in bytes; 0: the system's
	MuleMsgRecvSize int           // largest message that a mule takes; default 65536

	SignalBufsize int           // of the queues of signals, in bytes; 0: the system's
	SignalTimers  []SignalTimer // --timer and --rbtimer
	TouchSignal   [][2]string   // FILE, SIGNAL: looked at once a second
	FSSignal      [][2]string   // FILE, SIGNAL: the kernel tells

	RPCMax int // functions that may be offered to other processes; default 64

	TouchMulesReload    []string
	TouchSpoolersReload []string
}

// Mule is one process for work in the background.
type Mule struct {
	Runs string // a file, or MODULE:FUNCTION; "": it waits for messages and signals
}

// Farm is mules that share a queue.
type Farm struct {
	Name  string
	Mules []int
}

// SignalTimer raises a signal again and again.
type SignalTimer struct {
	Signal uint8
	Every  time.Duration
}

func muleDefaults() MuleConfig {
	return MuleConfig{MuleReloadMercy: 60 * time.Second, MuleMsgRecvSize: 65536, RPCMax: 64}
}

// setMule adds one mule; what a file or a true says without a program is a plain one, as on the command line.
func setMule(c *Config, g given) error {
	runs := g.text
	if g.flag || runs == "true" || runs == "1" {
		runs = ""
	}
	c.Mules = append(c.Mules, Mule{runs})
	return nil
}

// mostMules is far more than any machine could use.
const mostMules = 1000

func setMules(c *Config, g given) error {
	n, err := g.integer(mostMules)
	if err == nil && len(c.Mules)+int(n) > mostMules {
		err = fmt.Errorf("option %q: more than %d mules", g.name, mostMules)
	}
	if err != nil {
		return err
	}
	c.Mules = append(c.Mules, make([]Mule, n)...)
	return nil
}

// setFarm reads NAME:MULE[,MULE]. Whether there are such mules shows at the end.
func setFarm(c *Config, g given) error {
	name, members, ok := strings.Cut(g.text, ":")
	farm := Farm{Name: name}
	for word := range strings.SplitSeq(members, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if !ok || err != nil || n < 1 || name == "" {
			return fmt.Errorf("option %q: %q is not NAME:MULE[,MULE]", g.name, g.text)
		}
		if !slices.Contains(farm.Mules, n) {
			farm.Mules = append(farm.Mules, n)
		}
	}
	c.Farms = append(c.Farms, farm)
	return nil
}

// validateFarms refuses farms with mules that are not there.
func (p *parser) validateFarms() error {
	for i, farm := range p.cfg.Farms {
		for _, n := range farm.Mules {
			if n > len(p.cfg.Mules) {
				return fmt.Errorf("farm %q: there is no mule %d (%d configured; add --mule)", farm.Name, n, len(p.cfg.Mules))
			}
		}
		if slices.ContainsFunc(p.cfg.Farms[:i], func(other Farm) bool { return other.Name == farm.Name }) {
			return fmt.Errorf("farm %q is configured twice", farm.Name)
		}
	}
	return nil
}

// setSignalTimer reads SIGNAL SECONDS.
func setSignalTimer(c *Config, g given) error {
	number, seconds, _ := strings.Cut(strings.TrimSpace(g.text), " ")
	signal, err := strconv.ParseUint(number, 10, 8)
	every, err2 := strconv.ParseUint(strings.TrimSpace(seconds), 10, 31)
	if err != nil || err2 != nil || every == 0 {
		return fmt.Errorf("option %q: %q is not SIGNAL SECONDS (signals are 0 to 255)", g.name, g.text)
	}
	c.SignalTimers = append(c.SignalTimers, SignalTimer{uint8(signal), time.Duration(every) * time.Second})
	return nil
}

// touchSignal reads FILE SIGNAL.
func touchSignal(field func(c *Config) *[][2]string) effect {
	return List.by(func(c *Config, g given) error {
		file, number, _ := strings.Cut(g.text, " ")
		number = strings.TrimSpace(number)
		if _, err := strconv.ParseUint(number, 10, 8); err != nil || file == "" {
			return fmt.Errorf("option %q: %q is not FILE SIGNAL (signals are 0 to 255)", g.name, g.text)
		}
		*field(c) = append(*field(c), [2]string{file, number})
		return nil
	})
}
