package worker

import (
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/workerspec"
	"envoxyd/transports"
)

func (r *reactor) startAccepting() {
	for _, l := range r.w.ours {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(l.index), Pad: tagListener}
		_ = epollCtl(r.epoll, unix.EPOLL_CTL_ADD, l.fd, &event) // EEXIST: it is in the set already
	}
	_ = r.watchHandover() // it was in the set before
	r.watchSignals()
	r.accepting, r.pausedTo = true, 0
}

// turnEvery is how often a worker lets others go first. The kernel wakes the first one in a listener's queue, always
// the same where all are idle; rarely enough to cost nothing, requests are shared out.
const turnEvery = 20 * time.Millisecond

// takeTurns puts the worker at the end of the listeners' queues. A connection that comes meanwhile is seen when it is
// in the queue again.
func (r *reactor) takeTurns() {
	r.turned, r.accepted = r.now, false
	if r.w.spec.Processes < 2 && !r.w.spec.Others {
		return
	}
	for _, l := range r.w.ours {
		_ = epollCtl(r.epoll, unix.EPOLL_CTL_DEL, l.fd, nil)
	}
	r.startAccepting()
}

// lookAgain asks the kernel for all that waits to be accepted or taken. Another worker may have been woken for it, and
// have been killed before it took it.
func (r *reactor) lookAgain() {
	if !r.accepting {
		return
	}
	r.stopAccepting()
	r.ignoreHandover()
	r.startAccepting()
}

func (r *reactor) stopAccepting() {
	for _, l := range r.w.ours {
		_ = epollCtl(r.epoll, unix.EPOLL_CTL_DEL, l.fd, nil) // ENOENT: it is not in the set
	}
	r.ignoreSignals()
	r.accepting, r.hot = false, nil
}

// suspend applies the worker's pause. Kept connections are still served.
func (r *reactor) suspend(on bool) {
	r.suspended, r.pausedTo = on, 0
	state, value := "resumed", uint32(0)
	if on {
		r.stopAccepting()
		state, value = "suspended", 1
	} else if !r.leaving {
		r.startAccepting()
	}
	for _, s := range r.slots {
		s.line.Suspended.Store(value)
	}
	r.w.logf("*** worker %d %s ***", r.w.id, state)
}

// accept takes one connection off the listener; nil when there is none.
func (r *reactor) accept(l *listener) *conn {
	var address unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	before := forks()
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.fd), uintptr(unsafe.Pointer(&address)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		if scarce(errno) {
			r.acceptFailed(l, errno)
		}
		return nil
	}
	r.starved, r.accepted = false, true
	l.count(workerspec.CountAccepted)
	cn := r.newConn()
	cn.fd, cn.listener, cn.index = int(fd), l, -1
	cn.lastUse, cn.forks = r.now, before
	cn.Socket = &l.socket
	if l.tls != nil {
		cn.tls = new(secure)
	}
	if l.transport.Addressed {
		r.setPeer(cn, &address)
	}
	return cn
}

// setPeer fills in what the connection says about itself. Many
// connections come from the same address: its text is kept.
func (r *reactor) setPeer(cn *conn, address *unix.RawSockaddrAny) {
	l := cn.listener
	if l.proxy {
		cn.ProxyHeader = transports.AwaitProxy
	}
	var addr netip.Addr
	var port uint16
	switch address.Addr.Family {
	case unix.AF_INET:
		raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(address))
		addr, port = netip.AddrFrom4(raw.Addr), raw.Port
	case unix.AF_INET6:
		raw := (*unix.RawSockaddrInet6)(unsafe.Pointer(address))
		addr, port = netip.AddrFrom16(raw.Addr).Unmap(), raw.Port
	default:
		return
	}
	if addr != r.lastAddr {
		r.lastAddr, r.lastAddrText = addr, addr.String()
	}
	cn.RemoteAddr = r.lastAddrText
	if l.socket.Router {
		cn.RemotePort = strconv.Itoa(int(port<<8 | port>>8))
	}
}

// scarce tells whether accept has failed for want of descriptors or memory: the connection
// still waits. After any other error the next one may be accepted.
func scarce(errno syscall.Errno) bool {
	return errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS || errno == syscall.ENOMEM
}

// acceptFailed says so and waits a moment.
func (r *reactor) acceptFailed(l *listener, errno syscall.Errno) {
	hint := ""
	if errno == syscall.EMFILE || errno == syscall.ENFILE {
		hint = " (raise the limit of open files)"
	}
	r.w.logLimited(&r.w.limits.accept, "uwsgi socket %d: accept(): %v%s", l.index, errno, hint)
	r.pauseAccepting()
}

// pauseAccepting keeps a reactor without free descriptors from spinning, and from taking
// connections of others.
func (r *reactor) pauseAccepting() {
	r.stopAccepting()
	r.ignoreHandover()
	r.starved = true
	r.pausedTo = monotime.Now() + int64(acceptPause)
}

// hasDescriptor tells whether the process may open one more, and notes it.
func (r *reactor) hasDescriptor() bool {
	fd, err := unix.FcntlInt(uintptr(r.wakeFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	r.starved = false
	return true
}
