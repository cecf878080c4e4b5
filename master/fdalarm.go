package master

import "envoxyd/uwsgiopts"

// watchAlarmFDs raises the alarms of --alarm-fd.
func (m *master) watchAlarmFDs(cfg *uwsgiopts.Config) {
	m.triggers.fdAlarm.close()
	for _, number := range cfg.AlarmDescriptors() {
		var here []uwsgiopts.AlarmFD
		size := 1
		for _, a := range cfg.AlarmFDs {
			if a.FD == number {
				here, size = append(here, a), max(size, a.Size)
			}
		}
		m.triggers.fdAlarm.watch(m, "alarm-fd", number, size, func(m *master) {
			for _, a := range here {
				m.logs.alarms.raise(a.Alarm, []byte(a.Message))
			}
		})
	}
}
