package master

import (
	"errors"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// fdReloadWatchers watch descriptors whose readability means a reload (--reload-on-fd and kin).
type fdReloadWatchers struct{ watches map[int]*readableWatch }

// reconfigure watches what cfg names, and no more what it does not.
func (o *fdReloadWatchers) reconfigure(m *master, cfg *uwsgiopts.Config) {
	o.close()
	o.watches = map[int]*readableWatch{}
	for _, fd := range cfg.ReloadOnFD {
		o.watch(m, fd, false)
	}
	for _, fd := range cfg.BrutalReloadOnFD {
		o.watch(m, fd, true)
	}
}

func (o *fdReloadWatchers) watch(m *master, fd int, brutal bool) {
	if o.watches[fd] != nil { // named twice
		return
	}
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
func (o *fdReloadWatchers) arrived(m *master, fd int, brutal bool) {
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

func (o *fdReloadWatchers) close() {
	for _, watch := range o.watches {
		watch.close()
	}
	o.watches = nil
}
