package master

import (
	"os"
	"time"

	"envoxyd/internal/emperorlink"
)

// vassal is this instance's way to the emperor that has started it; nil: there is none.
type vassal struct {
	link *os.File
	last time.Time // when a heartbeat was sent
}

// newVassal takes the emperor's descriptor out of the environment, where nobody else has to find it.
func (m *master) newVassal() *vassal {
	link, fd := emperorlink.Take(emperorlink.Variable, "emperor")
	if link == nil {
		return nil
	}
	v := &vassal{link: link}
	logf("*** has_emperor mode detected (fd: %d) ***", fd)
	go func() { // ends when the emperor does; a master that has finished does not wait for it
		var word [1]byte
		for {
			if n, err := v.link.Read(word[:]); err != nil || n == 0 {
				m.post(func(m *master) {
					if !m.life.stopping {
						logf("lost connection with my emperor !!!")
						m.afterEmperorHook("emperor-lost", (*master).stop)
					}
				})
				return
			}
			said := word[0]
			m.post(func(m *master) { m.obeyEmperor(said) })
		}
	}()
	return v
}

// obeyEmperor does what the emperor says.
func (m *master) obeyEmperor(word byte) {
	logf("received message %d from emperor", word)
	switch word {
	case emperorlink.Stop, emperorlink.StopGracefully:
		m.afterEmperorHook("emperor-stop", (*master).stop)
	case emperorlink.Reload:
		m.afterEmperorHook("emperor-reload", func(m *master) { m.reload(false) })
	}
}

// afterEmperorHook does what the emperor has caused, once the hooks for that have run. One that fails does not keep it from happening.
func (m *master) afterEmperorHook(phase string, then func(m *master)) {
	m.hooked(m.cfg, m.hooks, []string{phase}, func(m *master, err error) {
		if err != nil {
			logf("%v", err)
		}
		if !m.life.stopping {
			then(m)
		}
	})
}

// say tells the emperor something; that it has gone is heard elsewhere.
func (v *vassal) say(words ...byte) {
	if v != nil {
		_, _ = v.link.Write(words)
	}
}

// beat sends a heartbeat each time that long has passed.
func (v *vassal) beat(every time.Duration, now time.Time) {
	if v != nil && every > 0 && now.Sub(v.last) >= every {
		v.last = now
		v.say(emperorlink.Heartbeat)
	}
}
