package emperor

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// obeySuperior makes this emperor the vassal of the one that has started it, if one has.
func (e *Emperor) obeySuperior() {
	text, ok := os.LookupEnv(FDVariable)
	if !ok {
		return
	}
	os.Unsetenv(FDVariable)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return
	}
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return
	}
	unix.CloseOnExec(fd)
	_ = unix.SetNonblock(fd, true)
	link := os.NewFile(uintptr(fd), "superior")
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
				case SayStop, SayStopGracefully:
					e.afterHook("emperor-stop", e.end)
				case SayReload:
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
