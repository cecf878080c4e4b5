package emperor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// listen opens the socket of an instance on demand. Where the owner of a tyrant's vassal has said where that is, the owner's
// rights count.
func (v *vassal) listen(cfg *uwsgiopts.EmperorConfig) (err error) {
	v.opened, err = v.Socket, errors.New("no rights of its owner's")
	switch {
	case v.ownersSocket(cfg):
		as(v.UID, v.GID, func() { v.listener, err = listen(v.Socket) })
	default:
		if v.listener, err = listen(v.Socket); err == nil && cfg.EmperorTyrant && isPath(v.Socket) {
			err = os.Lchown(v.Socket, int(v.UID), int(v.GID))
		}
	}
	if err != nil {
		v.closeListener(cfg)
		return fmt.Errorf("[emperor] vassal %s on demand: %w", v.ID, err)
	}
	return nil
}

func listen(address string) (*os.File, error) {
	network := "tcp"
	if strings.Contains(address, "/") || !strings.Contains(address, ":") {
		network = "unix"
		removeSocket(address)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if l, is := l.(*net.UnixListener); is {
		l.SetUnlinkOnClose(false)
		return l.File()
	}
	return l.(*net.TCPListener).File()
}

// ownersSocket tells that the owner of a tyrant's vassal has said where the socket is.
func (v *vassal) ownersSocket(cfg *uwsgiopts.EmperorConfig) bool {
	return cfg.EmperorTyrant && cfg.OnDemandExtension != "" && !v.Given
}

func isPath(address string) bool {
	return !strings.HasPrefix(address, "@") && (strings.Contains(address, "/") || !strings.Contains(address, ":"))
}

// removeSocket removes a socket's file, and nothing else that has its name.
func removeSocket(path string) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = unix.Unlink(path)
	}
}

// as does something with another user's rights to files.
func as(uid, gid uint32, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and its rights with it
		if _, _, failed := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); failed != 0 {
			return
		}
		_ = unix.Setfsgid(int(gid))
		_ = unix.Setfsuid(int(uid))
		if now, err := unix.SetfsuidRetUid(-1); err == nil && now == int(uid) {
			do()
		}
	}()
	<-done
}

// closeListener closes the socket of an instance on demand, and removes its file.
func (v *vassal) closeListener(cfg *uwsgiopts.EmperorConfig) {
	if v.stopAwait != nil {
		v.stopAwait()
		v.stopAwait = nil
	}
	if v.listener == nil {
		return
	}
	v.listener.Close()
	v.listener = nil
	switch {
	case !isPath(v.opened):
	case v.ownersSocket(cfg):
		as(v.UID, v.GID, func() { removeSocket(v.opened) })
	default:
		removeSocket(v.opened)
	}
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
