package master

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// keepDescriptors takes what the configuration watches into the master's keeping: it stays open, also over an upgrade.
func (m *master) keepDescriptors(cfg *uwsgiopts.Config) error {
	for _, named := range []struct {
		option string
		fds    []int
	}{{"reload-on-fd", cfg.ReloadOnFD}, {"brutal-reload-on-fd", cfg.BrutalReloadOnFD}, {"alarm-fd", cfg.AlarmDescriptors()}} {
		for _, fd := range named.fds {
			if _, err := m.owned.kept.Descriptor(fd); err != nil {
				return fmt.Errorf("%s: %w", named.option, err)
			}
		}
	}
	return nil
}

// fdWatches watch descriptors that others write to. The master keeps them (keepDescriptors).
type fdWatches struct{ watches map[int]*fdWatch }

// fdWatch is one descriptor and what follows when something comes from it.
type fdWatch struct {
	option   string // that names it, for messages
	number   int    // of the descriptor in the configuration
	fd       int    // the master's own
	size     int    // most bytes that are taken at a time
	waiting  *readableWatch
	readable func(m *master)
}

// fdReadSize is how much is taken from a descriptor whose content does not matter.
const fdReadSize = 4096

// watch has readable called whenever something has come from the descriptor. A descriptor that is watched already stays as it is.
func (o *fdWatches) watch(m *master, option string, number, size int, readable func(m *master)) {
	if o.watches[number] != nil { // named twice
		return
	}
	file, err := m.owned.kept.Descriptor(number)
	if err != nil {
		logf("%s: %v", option, err)
		return
	}
	if o.watches == nil {
		o.watches = map[int]*fdWatch{}
	}
	o.wait(m, &fdWatch{option: option, number: number, fd: int(file.Fd()), size: size, readable: readable})
}

func (o *fdWatches) wait(m *master, w *fdWatch) {
	var err error
	if w.waiting, err = watchReadable([]int{w.fd}, m.events, func(m *master) { o.arrived(m, w) }); err != nil {
		logf("%s: %v", w.option, err)
		return
	}
	o.watches[w.number] = w
}

// arrived takes what was written. A descriptor that has ended, or was never open, is not asked again.
func (o *fdWatches) arrived(m *master, w *fdWatch) {
	if o.watches[w.number] != w { // the watch has ended since
		return
	}
	w.waiting.close()
	delete(o.watches, w.number)
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 0); n == 0 { // somebody else has taken it
		o.wait(m, w)
		return
	}
	n, err := unix.Read(w.fd, make([]byte, w.size))
	if n <= 0 && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		logf("%s: nothing more comes from descriptor %d", w.option, w.number)
		return
	}
	o.wait(m, w)
	if n > 0 {
		w.readable(m)
	}
}

// close ends all watches.
func (o *fdWatches) close() {
	for _, w := range o.watches {
		w.waiting.close()
	}
	o.watches = nil
}
