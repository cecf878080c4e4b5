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
						e.end()
					}
				})
				return
			}
			said := word[0]
			e.post(func(e *Emperor) {
				e.log("received message %d from emperor", said)
				switch said {
				case SayStop, SayStopGracefully:
					if !e.ending {
						e.end()
					}
				case SayReload:
					e.reloadAll()
				}
			})
		}
	})
}

// tellSuperior says something to the emperor above; that it has gone is heard elsewhere.
func (e *Emperor) tellSuperior(words ...byte) {
	if e.superior != nil {
		_, _ = e.superior.Write(words)
	}
}
