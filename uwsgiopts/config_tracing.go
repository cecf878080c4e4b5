package uwsgiopts

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// TracingConfig says which spans are exported, and where to.
type TracingConfig struct {
	OTLP         bool   // spans are exported
	OTLPEndpoint string // a URL; "": what the environment says
	OTLPSample   float64
	OTLPSampled  bool   // OTLPSample was given
	OTLPService  string // "": what the environment says
	OTLPHeaders  []OTLPHeader
}

// OTLPHeader is one of the requests to the collector.
type OTLPHeader struct{ Name, Value string }

func setOTLPEndpoint(c *Config, g given) error {
	c.OTLP, c.OTLPEndpoint = true, g.text
	if g.text == "" {
		return nil
	}
	u, err := url.Parse(g.text)
	if err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("option %q: %q is no URL of a collector, such as http://localhost:4318", g.name, g.text)
	}
	return nil
}

func setOTLPSample(c *Config, g given) error {
	ratio, err := strconv.ParseFloat(g.text, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return fmt.Errorf("option %q: %q is not between 0 and 1", g.name, g.text)
	}
	c.OTLPSample, c.OTLPSampled = ratio, true
	return nil
}

func setOTLPHeader(c *Config, g given) error {
	name, value, ok := strings.Cut(g.text, "=")
	if !ok || name == "" || strings.ContainsAny(g.text, "\r\n") {
		return fmt.Errorf("option %q: the header is to be NAME=VALUE", g.name)
	}
	c.OTLPHeaders = append(c.OTLPHeaders, OTLPHeader{strings.TrimSpace(name), value})
	return nil
}

// finishTracing refuses options without an effect.
func (p *parser) finishTracing() error {
	if p.cfg.OTLP {
		return nil
	}
	for _, option := range []string{"otlp-sample", "otlp-service", "otlp-header"} {
		if p.lastOf(option) != nil {
			return p.refuseValue(option, "without otlp-endpoint no spans are exported")
		}
	}
	return nil
}
