package uwsgiopts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AskConfig is what is asked of another instance, in place of serving.
type AskConfig struct {
	Ping           string        // the address of an instance that is asked whether it lives; "": none is
	PingTimeout    time.Duration // of that, and of RemoteSignal; default 3 s
	RemoteSignal   *RemoteSignal // raised in another instance; nil: none is
	ConnectAndRead string        // the address whose output is printed; "": none is
	Nagios         bool          // the first socket is asked whether somebody answers

	ZabbixTemplate     bool   // the template of the metrics is written
	ZabbixTemplateFile string // "": to standard output
}

// Asks tells that another instance is asked, or something printed, in place of serving.
func (c *AskConfig) Asks() bool {
	return c.Ping != "" || c.RemoteSignal != nil || c.ConnectAndRead != "" || c.Nagios || c.ZabbixTemplate
}

// setZabbixTemplate takes the file for the template, if one is given.
func setZabbixTemplate(c *Config, g given) error {
	c.ZabbixTemplate = true
	if !g.flag {
		c.ZabbixTemplateFile = g.text
	}
	return nil
}

// RemoteSignal is a uwsgi signal for another instance.
type RemoteSignal struct {
	Address string
	Number  uint8
}

// setRemoteSignal reads ADDRESS,NUMBER.
func setRemoteSignal(c *Config, g given) error {
	address, number, _ := strings.Cut(g.text, ",")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
	if err != nil || address == "" {
		return fmt.Errorf("option %q: %q is not ADDRESS,SIGNAL (0 to 255)", g.name, g.text)
	}
	c.RemoteSignal = &RemoteSignal{address, uint8(n)}
	return nil
}
