package master

import (
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// openSockets opens what cfg names. Sockets that are open already, here or in the
// master that this one takes over from, are kept.
func (m *master) openSockets(cfg *uwsgiopts.Config) ([]*sockets.Socket, error) {
	opener := sockets.Opener{
		Config: cfg, Dir: workDir(cfg), Current: m.sockets, Inherited: m.upgrader.inherited.Take, Logf: logf,
	}
	return opener.OpenAll()
}
