package worker

import (
	"encoding/json"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
	"envoxyd/transports"
)

// watchHandover has the reactor take connections that other workers pass on.
func (r *reactor) watchHandover() syscall.Errno {
	fd := r.w.spec.HandoverFD[0]
	if fd < 0 {
		return 0
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Pad: tagHandover}
	if errno := epollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); errno != syscall.EEXIST {
		return errno
	}
	return 0
}

// ignoreHandover leaves what other workers pass on to whoever else is there.
func (r *reactor) ignoreHandover() {
	if fd := r.w.spec.HandoverFD[0]; fd >= 0 {
		_ = epollCtl(r.epoll, unix.EPOLL_CTL_DEL, fd, nil) // ENOENT: it is not in the set
	}
}

// passOn gives away what waits for slots that are all in the application: to another worker, if one
// is idle; the gateway's connections in any case, since the gateway finds another. It tells whether
// there was anything.
func (r *reactor) passOn(idle bool) bool {
	leaving := r.w.phase.Load() != serving
	passed := false
	for _, s := range r.slots {
		if cn := s.link; cn != nil && !cn.inHand && (leaving || waits(cn)) {
			r.dropIdle(cn)
			passed = true
		}
	}
	if leaving || !idle || r.w.spec.HandoverFD[1] < 0 {
		return passed
	}
	for r.event < r.nevents { // fetched before the leader entered the application
		e := r.events[r.event]
		r.event++
		passed = r.passSwallowed(&e) || passed
	}
	r.event, r.nevents = 0, 0
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll), uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), 0, 0, 0)
	if errno != 0 {
		return passed
	}
	for i := range int(n) {
		if about(&r.events[i]) == tagConn { // of all else the kernel has told the idle workers
			passed = r.passConn(&r.events[i]) || passed
		}
	}
	return passed
}

// passSwallowed passes on what the event is about. Where all workers listen the kernel has told
// this one alone, and idle ones may not know.
func (r *reactor) passSwallowed(e *unix.EpollEvent) bool {
	switch about(e) {
	case tagConn:
		return r.passConn(e)
	case tagListener:
		if !r.accepting || r.w.paused.Load() {
			return false
		}
		if cn := r.accept(r.w.listeners[e.Fd]); cn != nil {
			return r.handOver(cn)
		}
	case tagHandover:
		if cn := r.takeHandover(); cn != nil {
			return r.handOver(cn)
		}
	}
	return false // it comes again
}

func (r *reactor) passConn(e *unix.EpollEvent) bool {
	cn := r.connOf(e)
	if cn == nil {
		return false
	}
	cn.again = true // this event does not come again
	cn.noteEnd(e)
	return !cn.inHand && r.handOver(cn)
}

// handOver sends the connection to the first worker that takes it. False: it stays.
func (r *reactor) handOver(cn *conn) bool {
	if cn.listener.mapped || cn.tls != nil || cn.listener.event || cn.ending || len(cn.rest) > 0 { // the worker that took it may not serve that socket
		r.keep(cn, nil)
		return false
	}
	text, err := json.Marshal(gatewayspec.HandoverHeader{Listener: cn.listener.index, Addr: cn.RemoteAddr, Port: cn.RemotePort, Copied: cn.copied(),
		ServerAddr: cn.ServerAddr, ServerPort: cn.ServerPort, Unread: cn.ProxyHeader == transports.AwaitProxy, Kept: cn.Kept})
	if err == nil {
		err = unix.Sendmsg(r.w.spec.HandoverFD[1], text, unix.UnixRights(cn.fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	if err != nil { // it waits for this worker after all
		r.keep(cn, nil)
		return false
	}
	r.letGo(cn)
	return true
}

// takeHandover receives a connection that another worker has passed on; nil when
// another one was quicker.
func (r *reactor) takeHandover() *conn {
	var text [512]byte
	var rights [scmrights.Room]byte
	if r.starved && !r.hasDescriptor() { // what is taken without one is lost
		r.pauseAccepting()
		return nil
	}
	before := forks()
	n, size, _, _, err := unix.Recvmsg(r.w.spec.HandoverFD[0], text[:], rights[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil
	}
	fd, err := scmrights.Descriptor(rights[:size])
	if err != nil {
		r.w.logLimited(&r.w.limits.handover, "a connection was lost between workers: %v", err)
		r.pauseAccepting()
		return nil
	}
	var header gatewayspec.HandoverHeader
	if err := json.Unmarshal(text[:n], &header); err != nil || header.Listener >= len(r.w.listeners) || header.Listener < gatewayspec.EventListener {
		r.w.logf("a connection was lost between workers: listener %d, %v", header.Listener, err)
		_ = syscall.Close(fd)
		return nil
	}
	l := r.w.eventListener
	if header.Listener != gatewayspec.EventListener {
		l = r.w.listeners[header.Listener]
	}
	cn := r.newConn()
	*cn = conn{fd: fd, listener: l, index: -1, lastUse: r.now, forks: before}
	if header.Copied {
		cn.forks--
	}
	cn.Conn = transports.Conn{Socket: &l.socket, RemoteAddr: header.Addr, RemotePort: header.Port, ServerAddr: header.ServerAddr, ServerPort: header.ServerPort, Kept: header.Kept}
	if header.Unread {
		cn.ProxyHeader = transports.AwaitProxy
	}
	return cn
}
