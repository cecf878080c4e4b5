package master

import (
	"time"

	"envoxyd/master/management"
	"envoxyd/master/sockets"
	"envoxyd/master/statuspage"
)

// statusPage is the page of --status-page, and who serves it. What it has seen stays through reloads.
type statusPage struct {
	page    *statuspage.Page // nil: no socket is named
	servers management.Servers
}

// serve serves the page on the sockets that the configuration names.
func (s *statusPage) serve(m *master) {
	addresses := m.listeners(sockets.StatusPage)
	if len(addresses) == 0 {
		s.close()
		return
	}
	if s.page == nil {
		s.page = statuspage.New()
	}
	s.servers.Replace(addresses, management.HTTP("status page", s.page, map[string]management.Page{
		"/": s.page.Document, "/events": s.page.Events,
	}, logf))
}

// poll shows the state as it is now; it is called once a second.
func (s *statusPage) poll(m *master, now time.Time) {
	if s.page != nil && !m.life.upgraded {
		s.page.Note(m.snapshot(), now)
	}
}

// retire leaves the sockets to the next master, and sends viewers there.
func (s *statusPage) retire() {
	s.servers.Retire()
	if s.page != nil {
		s.page.End()
	}
}

// close ends all viewers' connections.
func (s *statusPage) close() {
	s.servers.Close()
	if s.page != nil {
		s.page.Close()
		s.page = nil
	}
}
