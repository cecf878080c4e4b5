package master

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// openSockets opens what cfg names at the start. What the master has passed on that this one
// takes over from is kept.
func (m *master) openSockets(cfg *uwsgiopts.Config) ([]*sockets.Socket, error) {
	if !m.upgrader.second {
		if err := checkTaken(cfg); err != nil {
			return nil, err
		}
	}
	return m.socketOpener().open(cfg)
}

// socketOpener opens sockets beside the loop; those that are open when it is made are kept.
type socketOpener struct {
	current     []*sockets.Socket
	inheritance *sockets.Inheritance
}

func (m *master) socketOpener() socketOpener {
	return socketOpener{slices.Clone(m.sockets), &m.upgrader.inherited}
}

// given tells whether one of the present sockets came from systemd or as standard input.
func (o socketOpener) given() bool { return slices.ContainsFunc(o.current, (*sockets.Socket).Given) }

func (o socketOpener) open(cfg *uwsgiopts.Config) ([]*sockets.Socket, error) {
	opener := sockets.Opener{Config: cfg, Dir: workDir(cfg), Current: o.current, Inheritance: o.inheritance, Logf: logf}
	return opener.OpenAll()
}

// checkTaken fails for another instance's pipe or notify-socket, which a start would take away.
func checkTaken(cfg *uwsgiopts.Config) error {
	if cfg.UnixSocketTakeover {
		return nil
	}
	if len(cfg.MasterFifo) > 0 {
		if err := sockets.PipeTaken(paths.In(workDir(cfg), cfg.MasterFifo[0])); err != nil {
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
			if s.Protocol == sockets.Stats || s.Protocol == sockets.Prometheus || s.Protocol == sockets.StatusPage {
				kind = " (" + s.Protocol + ")"
			}
			logf("VACUUM: unix socket %s%s removed.", s.Path, kind)
		}
	}
}
