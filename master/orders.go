package master

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// orders are descriptors whose readability means a reload (--reload-on-fd and kin).
type orders struct{ watches map[int]*readableWatch }

// follow watches what cfg names, and no more what it does not.
func (o *orders) follow(m *master, cfg *uwsgiopts.Config) {
	o.close()
	o.watches = map[int]*readableWatch{}
	for _, fd := range cfg.ReloadOnFD {
		o.watch(m, fd, false)
	}
	for _, fd := range cfg.BrutalReloadOnFD {
		o.watch(m, fd, true)
	}
}

func (o *orders) watch(m *master, fd int, brutal bool) {
	unix.CloseOnExec(fd)
	watch, err := watchReadable([]int{fd}, m.events, func(m *master) { o.arrived(m, fd, brutal) })
	if err != nil {
		logf("reload-on-fd: %v", err)
		return
	}
	o.watches[fd] = watch
}

// arrived takes what was written and carries the order out. A descriptor that has
// ended, or was never open, is not asked again.
func (o *orders) arrived(m *master, fd int, brutal bool) {
	if o.watches[fd] == nil { // the watch has ended since
		return
	}
	o.watches[fd].close()
	delete(o.watches, fd)
	var text [4096]byte
	n, err := unix.Read(fd, text[:])
	if n <= 0 && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		logf("reload-on-fd: nothing more comes from descriptor %d", fd)
		return
	}
	o.watch(m, fd, brutal)
	if n > 0 {
		logf("*** fd %d ready: %s !!! ***", fd, map[bool]string{false: "grace them all", true: "reap them all"}[brutal])
		m.reload(brutal)
	}
}

func (o *orders) close() {
	for _, watch := range o.watches {
		watch.close()
	}
	o.watches = nil
}

// notices is the datagram socket of --notify-socket: what arrives goes to the log.
type notices struct {
	path    string
	made    os.FileInfo // the file at path that is ours; nil: none
	conn    *net.UnixConn
	reading sync.WaitGroup
}

// notifyPath is the address of --notify-socket.
func notifyPath(cfg *uwsgiopts.Config) string {
	if path := cfg.NotifySocket; path == "" || strings.HasPrefix(path, "@") {
		return path
	}
	return absolute(workDir(cfg), cfg.NotifySocket)
}

// follow opens the socket that cfg names, unless it is open. takeover: though another process
// serves it, which is the previous master.
func (n *notices) follow(cfg *uwsgiopts.Config, takeover bool) {
	path := notifyPath(cfg)
	if path == n.path {
		return
	}
	n.close()
	n.remove()
	if path == "" {
		return
	}
	if err := n.open(path, takeover || cfg.UnixSocketTakeover); err != nil {
		logf("notify-socket: %v", err)
	}
}

func (n *notices) open(path string, takeover bool) error {
	if !strings.HasPrefix(path, "@") {
		if err := sockets.Claim(path, unix.SOCK_DGRAM, takeover); err != nil {
			return err
		}
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("unable to listen: %w", err)
	}
	n.path, n.conn, n.made = path, conn, nil
	if !strings.HasPrefix(path, "@") {
		n.made, _ = os.Lstat(path) // without it the file is not removed
	}
	n.reading.Go(func() { // ends by close
		text := make([]byte, 8<<10)
		for {
			size, err := conn.Read(text)
			if err != nil {
				return
			}
			logDated("[notify-socket] %s", strings.TrimRight(string(text[:size]), "\n"))
		}
	})
	return nil
}

// close stops listening. The file stays: after an upgrade it is the next master's.
func (n *notices) close() {
	if n.conn != nil {
		_ = n.conn.Close()
		n.reading.Wait()
		n.conn = nil
	}
}

// remove removes the file, unless somebody else's is in its place.
func (n *notices) remove() {
	if isFile(n.path, n.made) {
		_ = os.Remove(n.path) // it may be gone already
	}
	n.path, n.made = "", nil
}
