package master

import (
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// openSockets opens what cfg names. Sockets that are open already, here or in the
// master that this one takes over from, are kept.
func (m *master) openSockets(cfg *uwsgiopts.Config) ([]*sockets.Socket, error) {
	opener := sockets.Opener{
		Config: cfg, Dir: workDir(cfg), Current: m.sockets, Inheritance: &m.upgrader.inherited, Logf: logf,
	}
	return opener.OpenAll()
}

// vacuumSockets removes the files of unix sockets that are still ours.
func vacuumSockets(list []*sockets.Socket) {
	for _, s := range list {
		if s.RemoveFile() {
			kind := ""
			if s.Protocol == sockets.Stats {
				kind = " (stats)"
			}
			logf("VACUUM: unix socket %s%s removed.", s.Path, kind)
		}
	}
}
