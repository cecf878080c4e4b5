package worker

import (
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/transports"
	"envoxyd/transports/http"
)

// conn is one client connection. It belongs to a core, to the goroutine that
// receives or sends for it, or to the queue between them; never to two.
type conn struct {
	fd       int
	listener *listener
	transports.Conn
	index      int   // in core.conns; -1: in no table
	registered bool  // in the core's epoll set
	lastUse    int64 // as core.now
	requests   int
	forks      uint32 // forks() before it was there
}

// accept takes one connection off the listener; nil when there is none.
func (c *core) accept(l *listener) *conn {
	var address unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	before := forks()
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.fd), uintptr(unsafe.Pointer(&address)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		if scarce(errno) {
			c.acceptFailed(l, errno)
		}
		return nil
	}
	c.starved = false
	if l.noDelay {
		one := int32(1)
		_, _, _ = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, uintptr(unsafe.Pointer(&one)), 4, 0)
	}
	cn := c.newConn()
	cn.fd, cn.listener, cn.index, cn.registered, cn.requests = int(fd), l, -1, false, 0
	cn.lastUse, cn.forks = c.now, before
	cn.Socket = &l.socket
	if l.transport.Addressed {
		c.setPeer(cn, &address)
	}
	return cn
}

// setPeer fills in what the connection says about itself. Many
// connections come from the same address: its text is kept.
func (c *core) setPeer(cn *conn, address *unix.RawSockaddrAny) {
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
	if addr != c.lastAddr {
		c.lastAddr, c.lastAddrText = addr, addr.String()
	}
	cn.RemoteAddr = c.lastAddrText
	if l.socket.Router {
		cn.RemotePort = strconv.Itoa(int(port<<8 | port>>8))
	}
}

func (c *core) newConn() *conn {
	if n := len(c.free); n > 0 {
		cn := c.free[n-1]
		c.free = c.free[:n-1]
		return cn
	}
	return new(conn)
}

// keep puts the connection into the core's epoll set and table, to be waited for.
func (c *core) keep(cn *conn) {
	cn.lastUse = c.now
	if cn.index < 0 {
		if n := len(c.holes); n > 0 {
			cn.index = c.holes[n-1]
			c.holes = c.holes[:n-1]
			c.conns[cn.index] = cn
		} else {
			cn.index = len(c.conns)
			c.conns = append(c.conns, cn)
		}
		c.kept++
		if cn.listener.event {
			c.link, c.io.link_fd = cn, cInt32(cn.fd)
		}
	}
	if !cn.registered {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(cn.index), Pad: tagConn}
		if err := epollCtl(c.epoll, unix.EPOLL_CTL_ADD, cn.fd, &event); err != 0 {
			c.w.logLimited(&c.w.limits.epoll, "epoll_ctl(): %v", err)
			c.drop(cn)
			return
		}
		cn.registered = true
	}
}

// release removes the connection from the core without closing it.
func (c *core) release(cn *conn) {
	if cn.registered {
		_ = epollCtl(c.epoll, unix.EPOLL_CTL_DEL, cn.fd, nil)
		cn.registered = false
	}
	if cn.index >= 0 {
		c.conns[cn.index] = nil
		c.holes = append(c.holes, cn.index)
		cn.index = -1
		c.kept--
		if c.link == cn {
			c.link, c.io.link_fd = nil, -1
		}
	}
}

// drop closes the connection and forgets it.
func (c *core) drop(cn *conn) {
	c.release(cn)
	cn.close()
	c.forget(cn)
}

// close ends the connection. A child of the application's may hold a copy, and then closing
// ours would tell the client nothing.
func (cn *conn) close() {
	if cn.copied() {
		_ = unix.Shutdown(cn.fd, unix.SHUT_RDWR)
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(cn.fd), 0, 0)
}

// copied tells whether the process has forked while it had the connection; the gateway is to know in any case.
func (cn *conn) copied() bool { return cn.forks != forks() || cn.listener.event }

// letGo closes this process's descriptor of the connection and forgets it.
func (c *core) letGo(cn *conn) {
	c.release(cn) // closing alone would not do: a child of the application's may hold a copy
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(cn.fd), 0, 0)
	c.forget(cn)
}

var unread = []byte{gatewayspec.Unread}

// dropIdle drops a connection without a request. On one of its own the gateway cannot send from
// now on; what it has just sent it gives to another core.
func (c *core) dropIdle(cn *conn) {
	if cn.listener.event {
		_ = unix.Shutdown(cn.fd, unix.SHUT_RD)
		if waits(cn) {
			_, _ = syscall.Write(cn.fd, unread) // EPIPE: the gateway has ended
		}
	}
	c.drop(cn)
}

// waits tells whether there is something to read.
func waits(cn *conn) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(cn.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n > 0
}

func (c *core) forget(cn *conn) {
	cn.Conn = transports.Conn{}
	if len(c.free) < 256 {
		c.free = append(c.free, cn)
	}
}

// refuseAndClose answers, then reads some of what the client still sends,
// so that the answer is not lost to a reset.
func refuseAndClose(cn *conn, id uint16, refusal *http.Error) {
	_, _ = syscall.Write(cn.fd, cn.listener.refusal(id, refusal)) // a client that has left needs no answer
	_ = unix.Shutdown(cn.fd, unix.SHUT_WR)
	var scratch [4096]byte
	for range 16 {
		if n, err := syscall.Read(cn.fd, scratch[:]); n <= 0 || err != nil {
			break
		}
	}
	cn.close()
}

func epollCtl(epoll, operation, fd int, event *unix.EpollEvent) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(operation), uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return errno
}
