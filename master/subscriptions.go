package master

import (
	"strings"

	"envoxyd/internal/paths"
	"envoxyd/master/subscribing"
	"envoxyd/uwsgiopts"
)

// followSubscriptions announces the serving generation to routers.
func (m *master) followSubscriptions(g *generation) {
	c := g.cfg
	notify := subscriptionNotifyPath(c)
	m.triggers.subscriptionNotify.reconfigure(notify, c.UnixSocketTakeover || m.upgrader.second)
	if len(c.Subscribe) == 0 && !m.announcer.Any() {
		return
	}
	node := subscribing.Node{Cores: c.Processes * c.Cores(), Weight: c.Weight, Notify: notify}
	for _, s := range g.sockets {
		if s.ForWorkers() && s.Protocol != "http-router" {
			address := s.Name
			if s.Path != "" {
				address = s.Path
			}
			node.Sockets = append(node.Sockets, address)
		}
	}
	if m.vassal != nil {
		node.Vassal = vassalName(c)
	}
	if err := m.announcer.Follow(c, workDir(c), node); err != nil {
		logf("%v", err)
	}
}

// vassalName is the configuration that an emperor started this instance with.
func vassalName(c *uwsgiopts.Config) string {
	for _, p := range c.Pairs {
		if p.Name == "vassal" || p.Name == "ini" {
			return p.Value
		}
	}
	return "vassal"
}

// subscriptionNotifyPath is the address of --subscription-notify-socket.
func subscriptionNotifyPath(c *uwsgiopts.Config) string {
	if path := c.SubscriptionNotify; path == "" || strings.HasPrefix(path, "@") {
		return path
	}
	return paths.In(workDir(c), c.SubscriptionNotify)
}

// announce tells routers now and then that this instance serves.
func (m *master) announce() {
	if m.current == nil || m.life.stopping || m.life.upgraded || !m.announcer.Due(m.sys.now()) {
		return
	}
	m.beside(func() event {
		m.announcer.Announce()
		return func(*master) {}
	})
}

// leaveRouters has routers forget this instance, and goes on when they have.
func (m *master) leaveRouters(then func(*master)) {
	if !m.announcer.Any() {
		then(m)
		return
	}
	m.beside(func() event {
		told := m.announcer.Leave()
		return func(m *master) {
			if told {
				m.after(leaveTime, then)
			} else {
				then(m)
			}
		}
	})
}

// toggleSubscriptions blocks subscriptions, or lets them be again.
func (m *master) toggleSubscriptions() {
	if !m.announcer.Any() {
		logf("master-fifo: command S does nothing: this instance subscribes to no router")
		return
	}
	m.beside(func() event {
		blocked := m.announcer.Toggle()
		return func(m *master) {
			if blocked {
				logDated("subscriptions blocked")
			} else {
				logDated("subscriptions re-enabled")
				m.announce()
			}
		}
	})
}
