package master

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// openSockets opens what cfg names. Sockets that are open already, here or in the
// master that this one takes over from, are kept.
func (m *master) openSockets(cfg *uwsgiopts.Config) ([]*sockets.Socket, error) {
	opener := sockets.Opener{
		Config: cfg, Dir: workDir(cfg), Current: m.sockets, Inheritance: &m.upgrader.inherited, Logf: logf,
	}
	if first := m.sockets == nil && !m.upgrader.second; first {
		if err := checkTaken(cfg); err != nil {
			return nil, err
		}
	}
	return opener.OpenAll()
}

// checkTaken fails for another instance's pipe or notify-socket, which a start would take away.
func checkTaken(cfg *uwsgiopts.Config) error {
	if cfg.UnixSocketTakeover {
		return nil
	}
	if len(cfg.MasterFifo) > 0 {
		if err := sockets.PipeTaken(absolute(workDir(cfg), cfg.MasterFifo[0])); err != nil {
			return fmt.Errorf("master-fifo %s: %w", cfg.MasterFifo[0], err)
		}
	}
	if path := notifyPath(cfg); path != "" && !strings.HasPrefix(path, "@") {
		if err := sockets.Taken(path, unix.SOCK_DGRAM); err != nil {
			return fmt.Errorf("notify-socket %s: %w", cfg.NotifySocket, err)
		}
	}
	return nil
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
