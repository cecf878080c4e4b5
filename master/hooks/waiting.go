package hooks

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// lookEvery is how long a wait goes without a look.
const lookEvery = 100 * time.Millisecond

// wait is an action that waits for something to be there.
type wait struct {
	what    string
	timeout func(s Settings) time.Duration
	there   func(ctx context.Context, argument string) bool
	file    bool // the argument is a path
}

var waits = map[string]wait{
	"wait_for_fs":         {"a file or directory", forFiles, exists(func(os.FileInfo) bool { return true }), true},
	"wait_for_file":       {"a file", forFiles, exists(func(i os.FileInfo) bool { return i.Mode().IsRegular() }), true},
	"wait_for_dir":        {"a directory", forFiles, exists(os.FileInfo.IsDir), true},
	"wait_for_mountpoint": {"a mount point", forFiles, func(_ context.Context, path string) bool { return mounted(path) }, true},
	"wait_for_socket":     {"a socket", func(s Settings) time.Duration { return s.SocketTimeout }, takesConnections, false},
	"wait_for_interface":  {"a network interface", func(s Settings) time.Duration { return s.InterfaceTimeout }, isInterface, false},
}

func forFiles(s Settings) time.Duration { return s.FileTimeout }

// await carries out a wait, as long as the settings allow.
func (r *run) await(ctx context.Context, w wait, argument string) error {
	if w.file {
		argument = r.path(argument)
	}
	timeout := w.timeout(r.settings)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if w.there(ctx, argument) {
		return nil
	}
	r.host.Logf("waiting for %s (max %d seconds) ...", argument, int(timeout.Seconds()))
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not %s after %v", argument, w.what, timeout)
		case <-look.C:
			if w.there(ctx, argument) {
				r.host.Logf("%s found", argument)
				return nil
			}
		}
	}
}

func exists(is func(os.FileInfo) bool) func(context.Context, string) bool {
	return func(_ context.Context, path string) bool {
		info, err := os.Stat(path)
		return err == nil && is(info)
	}
}

// takesConnections asks host:port, or the unix socket of that path.
func takesConnections(ctx context.Context, address string) bool {
	network := "unix"
	if strings.Contains(address, ":") && !strings.Contains(address, "/") {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func isInterface(_ context.Context, name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}
