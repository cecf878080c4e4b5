package uwsgiopts

import (
	"fmt"
	"strings"
)

// ZergConfig is about sockets that instances share: one hands them out, others serve them too.
type ZergConfig struct {
	Zerg         []string // addresses of servers whose sockets to serve
	ZergFallback bool     // serve one's own sockets if there is no server
	ZergServer   string   // address at which one's own sockets are handed out
	ZergPools    []ZergPool
}

// ZergPool is sockets that are only handed out, at a unix socket.
type ZergPool struct {
	Address string
	Sockets []string
}

// setZergPool reads ADDRESS:SOCKET[,SOCKET].
func setZergPool(c *Config, g given) error {
	address, list, _ := strings.Cut(g.text, ":")
	pool := ZergPool{Address: address, Sockets: strings.Split(list, ",")}
	for _, socket := range append(pool.Sockets, address) {
		if socket == "" {
			return fmt.Errorf("option %q: %q is not ADDRESS:SOCKET[,SOCKET]", g.name, g.text)
		}
	}
	c.ZergPools = append(c.ZergPools, pool)
	return nil
}
