package uwsgiopts

import (
	"fmt"
	"net"
	"strings"
)

// ManagementConfig names the sockets on which the master itself answers over HTTP.
type ManagementConfig struct {
	Prometheus []string
	StatusPage []string
}

// managementAddress adds an address on which the master answers. What is told there is not everybody's,
// so a port alone is one of this machine, unlike :PORT, which is one of all addresses.
func managementAddress(field func(c *Config) *[]string) effect {
	return List.by(func(c *Config, g given) error {
		address := g.text
		switch {
		case address == "":
			return fmt.Errorf("option %q needs an address", g.name)
		case strings.Trim(address, "0123456789") == "":
			address = net.JoinHostPort("127.0.0.1", address)
		case bareRemedy(address) != "":
			return fmt.Errorf("option %q: %s", g.name, bareRemedy(address))
		}
		*field(c) = append(*field(c), address)
		return nil
	})
}

// loopbackAddress is managementAddress for what shows requests of clients: :PORT is one of this machine, too.
func loopbackAddress(field func(c *Config) *[]string) effect {
	add := managementAddress(field)
	return List.by(func(c *Config, g given) error {
		if port, is := strings.CutPrefix(g.text, ":"); is && port != "" && strings.Trim(port, "0123456789") == "" {
			g.text = port
		}
		return add.set(c, g)
	})
}
