package master

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// zergServers hand listening sockets to other instances (--zerg-server, --zergpool).
type zergServers struct {
	all map[string]*zergServer // by address
}

// zergServer is one address, at which whoever connects gets the sockets.
type zergServer struct {
	listener *net.UnixListener
	sockets  func(m *master) []*sockets.Socket
	path     string      // of its file; "": it has none
	made     os.FileInfo // the file that is ours
}

// reconfigure serves the addresses that cfg names, and no others. takeover: though the previous master serves them.
func (z *zergServers) reconfigure(m *master, cfg *uwsgiopts.Config, takeover bool) {
	wanted := map[string]func(m *master) []*sockets.Socket{}
	if cfg.ZergServer != "" {
		wanted[cfg.ZergServer] = func(m *master) (all []*sockets.Socket) {
			for _, s := range m.sockets {
				if s.ForWorkers() {
					all = append(all, s)
				}
			}
			return all
		}
	}
	for _, pool := range cfg.ZergPools {
		wanted[pool.Address] = func(m *master) []*sockets.Socket { return sockets.Pooled(m.sockets, pool) }
	}
	for address, server := range z.all {
		if wanted[address] == nil {
			server.close()
			server.remove()
			delete(z.all, address)
		}
	}
	for address, list := range wanted {
		if server := z.all[address]; server != nil {
			server.sockets = list
			continue
		}
		server, err := openZerg(m, cfg, address, takeover)
		if err != nil {
			logf("zerg server %s: %v", address, err)
			continue
		}
		server.sockets = list
		if z.all == nil {
			z.all = map[string]*zergServer{}
		}
		z.all[address] = server
		logf("*** Zerg server enabled on %s ***", address)
	}
}

func openZerg(m *master, cfg *uwsgiopts.Config, address string, takeover bool) (*zergServer, error) {
	path := address
	if !strings.HasPrefix(address, "@") {
		path = paths.In(workDir(cfg), address)
		if err := sockets.Claim(path, unix.SOCK_STREAM, takeover || cfg.UnixSocketTakeover); err != nil {
			return nil, err
		}
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("unable to listen: %w", err)
	}
	if cfg.ChmodSocket >= 0 && !strings.HasPrefix(path, "@") { // else as the umask has it: whoever may write to it gets our clients
		if err := os.Chmod(path, os.FileMode(cfg.ChmodSocket)); err != nil {
			_ = listener.Close()
			return nil, err
		}
	}
	listener.SetUnlinkOnClose(false) // it may be the next master's by then
	server := &zergServer{listener: listener}
	if !strings.HasPrefix(path, "@") {
		server.path = path
		server.made, _ = os.Lstat(path) // without it the file is not removed
	}
	context.AfterFunc(m.commands.ctx, func() { _ = listener.Close() })
	m.commands.running.Go(func() { server.accept(m, address) })
	return server, nil
}

// accept serves until the listener is closed.
func (s *zergServer) accept(m *master, address string) {
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			return
		}
		send := func(m *master) {
			defer conn.Close()
			if err := sockets.SendZerg(conn, s.sockets(m)); err != nil {
				logf("zerg server %s: %v", address, err)
			}
		}
		select {
		case m.events <- send:
		case <-m.commands.ctx.Done():
			_ = conn.Close()
			return
		}
	}
}

func (s *zergServer) close() { _ = s.listener.Close() }

// remove removes the file, unless somebody has put another one in its place.
func (s *zergServer) remove() {
	if found, err := os.Lstat(s.path); s.made != nil && err == nil && os.SameFile(found, s.made) {
		_ = os.Remove(s.path)
	}
}

// remove removes the files of all servers.
func (z *zergServers) remove() {
	for _, server := range z.all {
		server.remove()
	}
}

// close ends all of them.
func (z *zergServers) close() {
	for _, server := range z.all {
		server.close()
	}
}
