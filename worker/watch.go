package worker

import (
	"encoding/json"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/monotime"
	"envoxyd/internal/scmrights"
	"envoxyd/internal/snooze"
	"envoxyd/transports"
)

// A core that is busy with the application cannot poll its connections. The
// watch does so for it once that has lasted for longer than busyFor, and passes
// connections with something to read on to idle cores of any worker.
const (
	busyFor  = time.Millisecond
	tickTime = time.Millisecond     // while a core is busy for longer
	pollTime = 3 * time.Millisecond // while none is: each poll costs some 5 µs
	parkTime = 100                  // ticks without a busy core after which the watch sleeps until its bell rings
)

// startWatch starts the watch where there is another core to pass work on to.
func (w *Worker) startWatch() {
	w.bell = snooze.New()
	if w.spec.HandoverFD[0] < 0 {
		return
	}
	go w.runWatch() // lives as long as the process
}

func (w *Worker) runWatch() {
	quiet, wait := 0, pollTime
	for {
		if quiet > parkTime {
			w.bell.Sleep(nil)
			quiet = 0
		}
		nap(wait)
		runtime.Gosched() // see core.pause
		quiet++
		wait = pollTime
		now := monotime.Now()
		for _, c := range w.cores {
			if c.owner.Load() != inApp {
				continue
			}
			quiet = 0
			if now-c.entered.Load() <= int64(busyFor) {
				continue
			}
			wait = tickTime
			c.passOn(w.board.IdleElsewhere(c.line))
		}
	}
}

// nap sleeps in the kernel: a timer of Go's would wake three threads for it.
func nap(t time.Duration) {
	pause := unix.NsecToTimespec(int64(t))
	_, _, _ = syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0) // EINTR: the nap was a little shorter
}

// passOn gives away what waits for a core that is in the application: to another core, if one is
// idle; the gateway's connection in any case, since the gateway finds another core.
func (c *core) passOn(idle bool) {
	if !c.owner.CompareAndSwap(inApp, beingWatched) {
		return
	}
	defer c.owner.Store(inApp)
	leaving := c.w.phase.Load() != serving
	if cn := c.link; cn != nil && cn != c.current && (leaving || waits(cn)) {
		c.dropIdle(cn)
	}
	if leaving || !idle {
		return
	}
	for c.event < c.nevents { // fetched before the core entered the application
		e := c.events[c.event]
		c.event++
		c.passEvent(&e)
	}
	c.event = 0
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_WAIT, uintptr(c.epoll), uintptr(unsafe.Pointer(&c.events[0])), uintptr(len(c.events)), 0, 0, 0)
	c.nevents = 0
	if errno != 0 {
		return
	}
	for i := range int(n) {
		c.passEvent(&c.events[i])
	}
}

func (c *core) passEvent(e *unix.EpollEvent) {
	switch e.Pad {
	case tagConn:
		if int(e.Fd) < len(c.conns) && c.conns[e.Fd] != nil && c.conns[e.Fd] != c.current {
			c.handOver(c.conns[e.Fd])
		}
	case tagListener:
		// The kernel has told this core alone; idle cores may not know.
		if !c.accepting || c.w.paused.Load() {
			return
		}
		if cn := c.accept(c.w.listeners[e.Fd]); cn != nil {
			c.handOver(cn)
		}
	case tagReady:
		one := uint64(1) // put the wake-up back for other cores
		_, _ = syscall.Write(c.w.ready.fd, (*[8]byte)(unsafe.Pointer(&one))[:])
	}
}

// handOver sends the connection to the first core, of any worker, that takes it.
func (c *core) handOver(cn *conn) {
	if cn.listener.mapped { // the worker that took it may not serve that socket
		if cn.index < 0 {
			c.keep(cn)
		}
		return
	}
	text, err := json.Marshal(gatewayspec.HandoverHeader{Listener: cn.listener.index, Addr: cn.RemoteAddr, Port: cn.RemotePort, Copied: cn.copied(),
		ServerAddr: cn.ServerAddr, ServerPort: cn.ServerPort, Unread: cn.ProxyHeader == transports.AwaitProxy})
	if err != nil {
		return
	}
	if err := unix.Sendmsg(c.w.spec.HandoverFD[1], text, unix.UnixRights(cn.fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		if cn.index < 0 { // fresh from the listener: it waits for this core after all
			c.keep(cn)
		}
		return
	}
	c.letGo(cn)
}

// takeHandover receives a connection that another core has passed on; nil when
// another core was quicker.
func (c *core) takeHandover() *conn {
	var text [512]byte
	var rights [scmrights.Room]byte
	if c.starved && !c.hasDescriptor() { // what is taken without one is lost
		c.pauseAccepting()
		return nil
	}
	before := forks()
	n, size, _, _, err := unix.Recvmsg(c.w.spec.HandoverFD[0], text[:], rights[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil
	}
	fd, err := scmrights.Descriptor(rights[:size])
	if err != nil {
		c.w.logLimited(&c.w.limits.handover, "a connection was lost between cores: %v", err)
		c.pauseAccepting()
		return nil
	}
	var header gatewayspec.HandoverHeader
	if err := json.Unmarshal(text[:n], &header); err != nil || header.Listener >= len(c.w.listeners) || header.Listener < gatewayspec.EventListener {
		c.w.logf("a connection was lost between cores: listener %d, %v", header.Listener, err)
		_ = syscall.Close(fd)
		return nil
	}
	l := c.w.eventListener
	if header.Listener != gatewayspec.EventListener {
		l = c.w.listeners[header.Listener]
	}
	cn := c.newConn()
	*cn = conn{fd: fd, listener: l, index: -1, lastUse: c.now, forks: before}
	if header.Copied {
		cn.forks--
	}
	cn.Conn = transports.Conn{Socket: &l.socket, RemoteAddr: header.Addr, RemotePort: header.Port, ServerAddr: header.ServerAddr, ServerPort: header.ServerPort}
	if header.Unread {
		cn.ProxyHeader = transports.AwaitProxy
	}
	return cn
}
