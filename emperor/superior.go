package emperor

import (
	"envoxyd/internal/emperorlink"
)

// obeySuperior makes this emperor the vassal of the one that has started it, if one has.
func (e *Emperor) obeySuperior() {
	link, fd := emperorlink.Take(emperorlink.Variable, "superior")
	if link == nil {
		return
	}
	e.superior = link
	e.log("*** has_emperor mode detected (fd: %d) ***", fd)
	e.running.Go(func() {
		<-e.ctx.Done()
		link.Close()
	})
	e.running.Go(func() {
		var word [1]byte
		for {
			if n, err := link.Read(word[:]); err != nil || n == 0 {
				e.post(func(e *Emperor) {
					if !e.ending {
						e.log("lost connection with my emperor !!!")
						e.afterHook("emperor-lost", e.end)
					}
				})
				return
			}
			said := word[0]
			e.post(func(e *Emperor) {
				e.log("received message %d from emperor", said)
				switch said {
				case emperorlink.Stop, emperorlink.StopGracefully:
					e.afterHook("emperor-stop", e.end)
				case emperorlink.Reload:
					e.afterHook("emperor-reload", e.reloadAll)
				}
			})
		}
	})
}

// afterHook does what the superior has caused, once the hooks for that have run. One that fails does not keep it from happening.
func (e *Emperor) afterHook(phase string, then func()) {
	e.runHooks(phase, nil, func(err error) {
		if err != nil {
			e.log("%v", err)
		}
		if !e.ending {
			then()
		}
	})
}

// tellSuperior says something to the emperor above; that it has gone is heard elsewhere.
func (e *Emperor) tellSuperior(words ...byte) {
	if e.superior != nil {
		_, _ = e.superior.Write(words)
	}
}
