package master

import "envoxyd/uwsgiopts"

// watchReloadFDs watches the descriptors whose readability means a reload (--reload-on-fd and kin).
func (m *master) watchReloadFDs(cfg *uwsgiopts.Config) {
	watch := func(fds []int, brutal bool, word string) {
		for _, fd := range fds {
			m.triggers.fdReload.watch(m, "reload-on-fd", fd, fdReadSize, func(m *master) {
				logf("*** fd %d ready: %s !!! ***", fd, word)
				m.reload(brutal)
			})
		}
	}
	m.triggers.fdReload.close()
	watch(cfg.ReloadOnFD, false, "grace them all")
	watch(cfg.BrutalReloadOnFD, true, "reap them all")
}
