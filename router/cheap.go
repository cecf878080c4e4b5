package router

import (
	"context"
	"sync"
)

// cheap keeps a router without nodes from accepting (--*-cheap): others that listen on the same socket serve alone
// then. Its zero value never does.
type cheap struct {
	mu     sync.Mutex
	opened chan struct{} // closed when there are nodes again; nil while there are
}

// follow looks whether there are nodes.
func (c *cheap) follow(p *process) {
	if !p.spec.Routing.Cheap {
		return
	}
	empty := p.up.Table.Empty() && p.ctx.Err() == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case empty && c.opened == nil:
		c.opened = make(chan struct{})
		for _, l := range p.listeners {
			l.Interrupt(true)
		}
		p.logf("[uwsgi-%s] no more nodes available. Going cheap...", p.spec.Kind)
	case !empty && c.opened != nil:
		for _, l := range p.listeners {
			l.Interrupt(false)
		}
		close(c.opened)
		c.opened = nil
		if p.ctx.Err() == nil {
			p.logf("[uwsgi-%s] leaving cheap mode...", p.spec.Kind)
		}
	}
}

// wait waits while there are no nodes.
func (c *cheap) wait(ctx context.Context) {
	c.mu.Lock()
	opened := c.opened
	c.mu.Unlock()
	if opened == nil {
		return
	}
	select {
	case <-opened:
	case <-ctx.Done():
	}
}

// on tells whether nothing is accepted.
func (c *cheap) on() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened != nil
}
