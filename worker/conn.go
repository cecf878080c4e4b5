package worker

import (
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/transports"
	"envoxyd/transports/http"
)

// conn is one client connection. It belongs to the reactor, to the slot that serves its request,
// to the goroutine that receives or sends for it, or to the queue between them; never to two.
type conn struct {
	fd       int
	listener *listener
	transports.Conn
	index      int           // in reactor.conns; -1: in no table
	serial     int32         // in its events: others have had the index before
	registered bool          // in the epoll set
	inHand     bool          // a slot serves its request
	again      bool          // something came, or may have, that no event will tell of
	ending     bool          // the client has sent its last
	tls        *secure       // nil: it is spoken in the clear
	receiving  bool          // a goroutine has a copy of the descriptor, from which it reads what nobody wants
	listed     bool          // in reactor.again
	keeper     *slot         // of a connection of the gateway's
	rest       []byte        // what was read behind the last request
	lastUse    int64         // as reactor.now
	forks      uint32        // forks() before it was there
	over       chan struct{} // of a tunnel's end (http2.go): closed with it
	memory     *memoryStream // of a stream of HTTP/2 that began without a descriptor
}

func (r *reactor) newConn() *conn {
	if n := len(r.free); n > 0 {
		cn := r.free[n-1]
		r.free = r.free[:n-1]
		return cn
	}
	return new(conn)
}

// noteEnd notes that the client has sent its last, where an event says so.
func (cn *conn) noteEnd(e *unix.EpollEvent) {
	if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		cn.ending = true
	}
}

// keep puts the connection into the epoll set and the table, to be waited for. keeper is the slot
// that has served it, nil after a goroutine has.
//
// Events are edge-triggered: one comes only when something has come since the last.
func (r *reactor) keep(cn *conn, keeper *slot) {
	cn.lastUse = r.now
	news := false // that a leader which waits for events does not know
	if cn.index < 0 {
		news = r.kept == 0 // it waits for any time
		if n := len(r.holes); n > 0 {
			cn.index = r.holes[n-1]
			r.holes = r.holes[:n-1]
			r.conns[cn.index] = cn
		} else {
			cn.index = len(r.conns)
			r.conns = append(r.conns, cn)
		}
		r.kept++
		r.serial++
		cn.serial = r.serial
	}
	if cn.listener.event && keeper != nil && cn.keeper == nil {
		cn.keeper, keeper.link, keeper.io.link_fd = keeper, cn, cInt32(cn.fd)
	}
	if !cn.registered {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(cn.index), Pad: cn.tag()}
		if err := epollCtl(r.epoll, unix.EPOLL_CTL_ADD, cn.fd, &event); err != 0 {
			r.w.logLimited(&r.w.limits.epoll, "epoll_ctl(): %v", err)
			r.drop(cn)
			return
		}
		cn.registered = true
	}
	if (cn.again || cn.ending || len(cn.rest) > 0) && !cn.listed {
		cn.listed = true
		r.again = append(r.again, cn)
		news = true
	}
	cn.again = false
	if news && r.polling {
		r.wake()
	}
}

// tag is EpollEvent.Pad of the connection's events.
func (cn *conn) tag() int32 { return tagConn | cn.serial<<tagBits }

// connOf is the connection that an event is about; nil: it was passed on or closed after the event was fetched. Another one may have its
// place in the table by then.
func (r *reactor) connOf(e *unix.EpollEvent) *conn {
	if int(e.Fd) >= len(r.conns) {
		return nil
	}
	if cn := r.conns[e.Fd]; cn != nil && cn.tag() == e.Pad {
		return cn
	}
	return nil
}

// release removes the connection from the reactor without closing it.
func (r *reactor) release(cn *conn) {
	if cn.registered {
		_ = epollCtl(r.epoll, unix.EPOLL_CTL_DEL, cn.fd, nil)
		cn.registered = false
	}
	if cn.index >= 0 {
		r.conns[cn.index] = nil
		r.holes = append(r.holes, cn.index)
		cn.index = -1
		r.kept--
	}
	if k := cn.keeper; k != nil {
		k.link, k.io.link_fd, cn.keeper = nil, -1, nil
	}
}

// drop closes the connection and forgets it.
func (r *reactor) drop(cn *conn) {
	r.release(cn)
	cn.close()
	r.forget(cn)
}

// letGo closes this process's descriptor of the connection and forgets it.
func (r *reactor) letGo(cn *conn) {
	r.release(cn) // closing alone would not do: a child of the application's may hold a copy
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(cn.fd), 0, 0)
	r.forget(cn)
}

// forget lets the connection's memory be used again.
func (r *reactor) forget(cn *conn) {
	if len(r.free) < 256 && !cn.listed {
		*cn = conn{}
		r.free = append(r.free, cn)
	}
}

// close ends the connection. A child of the application's may hold a copy, and then closing
// ours would tell the client nothing.
func (cn *conn) close() {
	if cn.tls != nil {
		cn.tls.goodbye()
	}
	switch {
	case cn.inMemory():
	case cn.copied():
		_ = unix.Shutdown(cn.fd, unix.SHUT_RDWR)
	case cn.receiving:
		_ = unix.Shutdown(cn.fd, unix.SHUT_WR)
	}
	if cn.fd >= 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(cn.fd), 0, 0)
	}
	if cn.memory != nil {
		cn.memory.end()
	}
	if cn.tls != nil && cn.tls.bridged && cn.tls.raw >= 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(cn.tls.raw), 0, 0)
	}
	if cn.over != nil {
		close(cn.over)
		cn.over = nil
	}
}

// copied tells whether the process has forked while it had the connection; the gateway is to know in any case.
func (cn *conn) copied() bool { return cn.forks != forks() || cn.listener.event }

// refuseAndClose answers, then reads some of what the client still sends,
// so that the answer is not lost to a reset.
func refuseAndClose(cn *conn, id uint16, refusal *http.Error) {
	_, _ = syscall.Write(cn.fd, cn.listener.refusal(id, refusal)) // a client that has left needs no answer
	linger(cn.fd, 16)
	cn.close()
}

// linger sends the last of what there is to send, and reads, at most so often, what the client has sent meanwhile: a
// connection that is closed with it unread is reset, and the client loses what it has not read.
func linger(fd, reads int) {
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	var scratch [4096]byte
	for range reads {
		if n, err := syscall.Read(fd, scratch[:]); n <= 0 || err != nil {
			return
		}
	}
}
