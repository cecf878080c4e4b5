package emperor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// listen opens the socket of an instance on demand.
func (v *vassal) listen(cfg *uwsgiopts.EmperorConfig) error {
	network := "tcp"
	if strings.Contains(v.Socket, "/") || !strings.Contains(v.Socket, ":") {
		network = "unix"
		_ = unix.Unlink(v.Socket)
	}
	l, err := net.Listen(network, v.Socket)
	if err != nil {
		return fmt.Errorf("[emperor] vassal %s on demand: %w", v.ID, err)
	}
	defer l.Close()
	switch l := l.(type) {
	case *net.TCPListener:
		v.listener, err = l.File()
	case *net.UnixListener:
		l.SetUnlinkOnClose(false)
		if v.listener, err = l.File(); err == nil && cfg.EmperorTyrant {
			err = os.Lchown(v.Socket, int(v.UID), int(v.GID))
		}
	}
	if err != nil {
		v.closeListener()
		return fmt.Errorf("[emperor] vassal %s on demand: %w", v.ID, err)
	}
	return nil
}

// closeListener closes the socket of an instance on demand, and removes its file.
func (v *vassal) closeListener() {
	if v.stopAwait != nil {
		v.stopAwait()
		v.stopAwait = nil
	}
	if v.listener == nil {
		return
	}
	if bound, err := unix.Getsockname(int(v.listener.Fd())); err == nil {
		if address, is := bound.(*unix.SockaddrUnix); is && strings.HasPrefix(address.Name, "/") {
			_ = unix.Unlink(address.Name)
		}
	}
	v.listener.Close()
	v.listener = nil
}

// await has an instance on demand started when somebody connects.
func (e *Emperor) await(v *vassal) {
	fd, err := unix.FcntlInt(v.listener.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		e.log("[emperor] vassal %s: %v", v.ID, err)
		return
	}
	_ = unix.SetNonblock(fd, true)
	file := os.NewFile(uintptr(fd), "listener")
	ctx, cancel := context.WithCancel(e.ctx)
	v.stopAwait = cancel
	stop := context.AfterFunc(ctx, func() { file.Close() })
	e.running.Go(func() {
		defer stop()
		defer file.Close()
		raw, err := file.SyscallConn()
		if err != nil {
			return
		}
		err = raw.Read(func(fd uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(ready, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		if err == nil {
			e.post(func(e *Emperor) {
				if v.waiting && !v.removed && !e.ending {
					v.waiting = false
					e.start(v)
				}
			})
		}
	})
}
