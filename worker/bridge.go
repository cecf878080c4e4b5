package worker

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bridgePiece = 16 << 10        // what a bridge carries at once, in bytes: a record of TLS
	bridgeEnd   = 5 * time.Second // that a client has to close its side once ours is closed
)

// inline tells whether slots speak TLS on the connection, or to a stream in memory: there is no descriptor for anybody else.
func (cn *conn) inline() bool { return cn.tls != nil && !cn.tls.bridged || cn.inMemory() }

// inMemory tells whether the connection is a stream in memory.
func (cn *conn) inMemory() bool { return cn.memory != nil && !cn.memory.opened }

// open makes the descriptor of the connection one that speaks in the clear, which it is already without TLS. The
// connection is nobody else's. On an error it is of no use any more, and its descriptor says so to whoever uses it.
func (w *Worker) open(cn *conn) {
	if !cn.inline() {
		return
	}
	if cn.inMemory() {
		if err := cn.memory.open(cn); err != nil {
			w.logLimited(&w.limits.receive, "HTTP/2: %v", err)
		}
		return
	}
	s := cn.tls
	s.bridged, s.raw = true, cn.fd
	if cn.registered {
		_ = epollCtl(w.reactor.epoll, unix.EPOLL_CTL_DEL, cn.fd, nil)
		cn.registered = false
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.logLimited(&w.limits.receive, "TLS: %v", err)
		s.raw = -1
		_ = unix.Shutdown(cn.fd, unix.SHUT_RDWR)
		return
	}
	cn.fd = pair[0]
	cn.again = true   // something may be in TLS's hands already
	cn.ending = false // this one says so when the client's last has come through it
	stream, err := duplicate(s.raw)
	if err != nil {
		w.logLimited(&w.limits.receive, "TLS: %v", err)
		_ = unix.Close(pair[1])
		return
	}
	s.wire.stream, s.wire.timeout = stream, cn.listener.send
	b := &bridge{secure: s, clear: os.NewFile(uintptr(pair[1]), "TLS in the clear")}
	w.carrying.Add(1)
	go func() { // ends when the connection's descriptor is closed and the client has been told, or does not listen
		defer w.carrying.Add(-1)
		b.run()
	}()
}

// bridge carries between a client that speaks TLS and a descriptor that does not.
type bridge struct {
	*secure
	clear *os.File
}

// run returns when both directions have ended.
func (b *bridge) run() {
	var up sync.WaitGroup
	up.Go(b.receive)
	b.send()
	_ = b.wire.stream.SetReadDeadline(time.Now().Add(bridgeEnd))
	up.Wait()
	shutdown(b.wire.stream, unix.SHUT_RDWR) // a child of the application's may hold a copy
	_ = b.wire.stream.Close()
	_ = b.clear.Close()
}

// receive carries what the client sends; what nobody takes any more is read all the same, so that the client is not reset.
func (b *bridge) receive() {
	piece := make([]byte, bridgePiece)
	wanted := true
	for {
		n, err := b.conn.Read(piece)
		if n > 0 && wanted {
			_, failed := b.clear.Write(piece[:n])
			wanted = failed == nil
		}
		if err != nil {
			break
		}
	}
	shutdown(b.clear, unix.SHUT_WR)
}

// send carries what is for the client, and tells it the end.
func (b *bridge) send() {
	err := b.wire.flush()
	piece := make([]byte, bridgePiece)
	for err == nil {
		var n int
		n, err = b.clear.Read(piece)
		if n > 0 {
			if _, failed := b.conn.Write(piece[:n]); failed != nil {
				shutdown(b.clear, unix.SHUT_RD) // whoever writes is told
				break
			}
		}
	}
	_ = b.conn.CloseWrite()
	shutdown(b.wire.stream, unix.SHUT_WR)
}

func shutdown(file *os.File, how int) {
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), how) })
	}
}
