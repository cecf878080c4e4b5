package master

import (
	"envoxyd/internal/paths"
	"envoxyd/master/hooks"
)

// checkMountpoints stops the instance when something that it needs (--mountpoint-check) is not mounted any more.
func (m *master) checkMountpoints() {
	if m.life.stopping {
		return
	}
	for _, name := range m.current.cfg.Mountpoints {
		if hooks.Mounted(paths.In(workDir(m.current.cfg), name)) {
			continue
		}
		logf("*** %s is not mounted any more: the instance ends ***", name)
		m.life.status = statusFailed
		m.stop()
		return
	}
}
