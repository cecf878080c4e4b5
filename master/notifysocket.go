package master

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"envoxyd/internal/logtext"
	"envoxyd/internal/paths"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// notifySocket is a datagram socket, of --notify-socket or --subscription-notify-socket: what arrives goes to the log.
type notifySocket struct {
	option  string
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
	return paths.In(workDir(cfg), cfg.NotifySocket)
}

// reconfigure opens the socket at path, absolute or @abstract, unless it is open; "": there is to be none. takeover: though
// another process serves it, which is the previous master.
func (n *notifySocket) reconfigure(path string, takeover bool) {
	if path == n.path {
		return
	}
	n.close()
	n.remove()
	if path == "" {
		return
	}
	if err := n.open(path, takeover); err != nil {
		logf("%s: %v", n.option, err)
	}
}

func (n *notifySocket) open(path string, takeover bool) error {
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
			logDated("[%s] %s", n.option, logtext.Safe(strings.TrimRight(string(text[:size]), "\n")))
		}
	})
	return nil
}

// close stops listening. The file stays: after an upgrade it is the next master's.
func (n *notifySocket) close() {
	if n.conn != nil {
		_ = n.conn.Close()
		n.reading.Wait()
		n.conn = nil
	}
}

// remove removes the file, unless somebody else's is in its place.
func (n *notifySocket) remove() {
	if isFile(n.path, n.made) {
		_ = os.Remove(n.path) // it may be gone already
	}
	n.path, n.made = "", nil
}
