package uwsgiopts

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// sockets gives --socket its protocol and --abstract-socket its effect.
func (p *parser) sockets() error {
	protocol := p.cfg.DefaultProtocol()
	switch {
	case protocol == rawProtocol:
		return p.refuseValue("protocol", "%q is not supported: %s", protocol, noRawMode)
	case !slices.Contains(protocols, protocol):
		return p.refuseValue("protocol", "%q is not one of %s", protocol, strings.Join(protocols, ", "))
	}
	for i := range p.cfg.Sockets {
		s := &p.cfg.Sockets[i]
		if s.Protocol == "" {
			s.Protocol = protocol
		}
		if p.cfg.abstractSocket && isPath(s.Address) {
			s.Address = "@" + s.Address
		}
	}
	return nil
}

// isPath: an address without a port is a unix socket's.
func isPath(address string) bool {
	return !strings.ContainsRune(address, ':') && !strings.HasPrefix(address, "=") && !strings.HasPrefix(address, "@")
}

// bareAddresses looks for a port or an IP address alone, which uWSGI takes for the name of a unix socket. Nobody
// means that where HTTP is spoken, so there it is refused; elsewhere a front end may know the socket by that name.
func (p *parser) bareAddresses() error {
	for _, s := range p.cfg.Sockets {
		remedy := bareRemedy(s.Address)
		switch {
		case remedy == "":
		case strings.HasPrefix(s.Protocol, "http"):
			err := refuse(s.Origin, "socket %s would be a unix socket of that name: %s, or ./%s for a unix socket", s.Address, remedy, s.Address)
			if err := p.tolerate(err); err != nil {
				return err
			}
		default:
			p.note(s.Origin, "socket %s is a unix socket of that name: %s", s.Address, remedy)
		}
	}
	p.noteBare("shared-socket", p.cfg.SharedSockets)
	p.noteBare("stats", p.cfg.Stats)
	p.noteSNMP()
	return nil
}

func (p *parser) noteBare(option string, addresses []string) {
	for _, address := range addresses {
		if remedy := bareRemedy(address); remedy != "" {
			p.note(p.cfg.OriginOf(option, address), "%s %s is a unix socket of that name: %s", option, address, remedy)
		}
	}
}

// bareRemedy says how to write what a port or an IP address alone was meant to be; "": it is neither.
func bareRemedy(address string) string {
	switch {
	case address == "":
	case strings.Trim(address, "0123456789") == "":
		return fmt.Sprintf("write :%s for the port on all addresses, 127.0.0.1:%[1]s for this machine alone", address)
	case isPath(address) && net.ParseIP(address) != nil:
		return fmt.Sprintf("write %s:PORT for a port on that address", address)
	}
	return ""
}

// OnlySupervises tells that no socket is named that workers would serve, but daemons, jobs, pools of sockets or routers, which make
// a service too.
func (c *Config) OnlySupervises() bool {
	fronts := c.fronts()
	return c.ServesNothing() || len(c.Sockets)-fronts+len(c.Zerg) == 0 && (fronts > 0 || len(c.SharedSockets) == 0 && len(c.Daemons)+len(c.Smart)+len(c.Crons)+len(c.ZergPools) > 0)
}

// ServesNothing tells that something runs in place of serving.
func (c *Config) ServesNothing() bool { return c.Script != "" || c.TestModule != "" }
