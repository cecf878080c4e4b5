// Package zmq carries requests and replies of Envoxy services over libzmq's sockets: ROUTER to
// answer, REQ to ask. It knows no workers and no envoxy.json.
//
// libzmq's sockets are for one thread. Here one goroutine, locked to its thread, owns all of
// them (Loop). It sleeps in epoll on their descriptors and on one by which others wake it;
// there is no interval at which it looks. All else, Server and Client, posts functions to it.
package zmq

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"
)

// ErrClosed tells that the loop has ended.
var ErrClosed = errors.New("zmq: closed")

// Version is libzmq's.
func Version() string {
	major, minor, patch := zmq4.Version()
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

const (
	lingerTime    = time.Second      // how long a closed socket goes on sending
	handshakeTime = 10 * time.Second // bounds the handshake of a peer
	maxSockets    = 16 << 10
	batch         = 64 // messages of one socket before others' turn
)

// Loop is the goroutine that owns the sockets.
type Loop struct {
	logf    func(string, ...any)
	done    chan struct{}
	running sync.WaitGroup // of goroutines beside it

	mu     sync.Mutex
	posted []func()
	awake  bool // it will look at posted without being woken
	ended  bool

	// What follows is the goroutine's own.
	context *zmq4.Context
	epoll   int
	bell    int // an eventfd, under mu as long as ended is false
	sources map[int32]*source
	watched map[int32]func() // descriptors of others'
	ready   []*source
	servers map[string]*Server // by domain of authentication
	zap     *source
	number  int
	naps    int  // without traffic
	spare   bool // there is another processor of Go's than the one that it takes then
	closing bool
	told    map[string]time.Time // when a kind of message was logged last
}

// source is a socket with what is done when it may have something to receive.
type source struct {
	socket  *zmq4.Socket
	fd      int32
	receive func()
	queued  bool
	closed  bool
}

// Open starts a loop; its messages go to logf, which may be called from any goroutine.
func Open(logf func(string, ...any)) (*Loop, error) {
	l := &Loop{logf: logf, done: make(chan struct{}), awake: true, sources: map[int32]*source{}, watched: map[int32]func(){}, servers: map[string]*Server{}, told: map[string]time.Time{}, spare: runtime.GOMAXPROCS(0) > 1}
	started := make(chan error, 1)
	go func() { // Close waits for it
		defer close(l.done)
		runtime.LockOSThread()
		err := l.start()
		started <- err
		if err == nil {
			l.run()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("zmq: %w", err)
	}
	return l, nil
}

func (l *Loop) start() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.bell)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if l.context, err = zmq4.NewContext(); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	if err := l.context.SetMaxSockets(maxSockets); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	return l.serveZAP()
}

// post has f called by the goroutine; false: it has ended.
func (l *Loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.posted = append(l.posted, f)
	if !l.awake {
		l.awake = true
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // EAGAIN: it has been rung 2^64 times
	}
	return true
}

// Post has f called on the loop, where it must not wait; false: the loop has ended.
func (l *Loop) Post(f func()) bool { return l.post(f) }

// Watch has f called on the loop, once, when the descriptor can be read. It is called on the loop.
func (l *Loop) Watch(fd int, f func()) error { return l.watchFor(unix.EPOLLIN, fd, f) }

// WatchWrite is Watch for when the descriptor can be written.
func (l *Loop) WatchWrite(fd int, f func()) error { return l.watchFor(unix.EPOLLOUT, fd, f) }

func (l *Loop) watchFor(what uint32, fd int, f func()) error {
	event := unix.EpollEvent{Events: what | unix.EPOLLONESHOT, Fd: int32(fd)}
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &event) // mostly it has been watched before
	if errors.Is(err, unix.ENOENT) {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event)
	}
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	l.watched[int32(fd)] = f
	return nil
}

// call is post, and waits for the end of f.
func (l *Loop) call(f func() error) error {
	result := make(chan error, 1)
	if !l.post(func() { result <- f() }) {
		return ErrClosed
	}
	return <-result
}

func (l *Loop) run() {
	defer l.end()
	events := make([]unix.EpollEvent, 64)
	for l.work() {
		n, err := l.wait(events)
		if err != nil {
			panic(fmt.Sprintf("zmq: epoll: %v", err)) // nothing works any more: another process is to
		}
		l.mu.Lock()
		l.awake = true
		l.mu.Unlock()
		for _, event := range events[:n] {
			if event.Fd == int32(l.bell) {
				var count [8]byte
				_, _ = unix.Read(l.bell, count[:]) // EAGAIN: it was read before
				continue
			}
			if s := l.sources[event.Fd]; s != nil {
				l.look(s)
			} else if f := l.watched[event.Fd]; f != nil {
				delete(l.watched, event.Fd)
				f()
			}
		}
	}
}

const (
	awakeNap  = 5 // milliseconds; under the 10 ms after which Go's scheduler would interrupt
	awakeNaps = 20
)

// wait sleeps until there is something to do.
//
// While there is traffic it does so without telling Go's scheduler: that would give the processor away
// and have its monitor thread wake up, twice for each message, a quarter of what a request costs here.
// The collector's signals cut such a nap short. After some without traffic it is an ordinary sleep.
func (l *Loop) wait(events []unix.EpollEvent) (int, error) {
	if l.naps < awakeNaps && l.spare {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), awakeNap, 0, 0)
		switch {
		case errno == 0 && n > 0:
			l.naps = 0
			return int(n), nil
		case errno != 0 && errno != syscall.EINTR:
			return 0, errno
		}
		l.naps++
		runtime.Gosched()
		return 0, nil
	}
	n, err := unix.EpollWait(l.epoll, events, -1)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	l.naps = 0
	return max(n, 0), err
}

// work does all that there is to do; false: the loop is to end.
func (l *Loop) work() bool {
	for {
		l.mu.Lock()
		posted := l.posted
		l.posted = nil
		if len(posted) == 0 && len(l.ready) == 0 {
			l.awake = false
			l.mu.Unlock()
			return true
		}
		l.mu.Unlock()
		for _, f := range posted {
			f()
		}
		ready := l.ready
		l.ready = nil
		for _, s := range ready {
			s.queued = false
			if !s.closed {
				s.receive()
			}
		}
		if l.closing {
			return false
		}
	}
}

// look has the socket received from. It is called for all that epoll tells, and after sending:
// that takes the notice of what has arrived out of the descriptor, too.
func (l *Loop) look(s *source) {
	if !s.queued && !s.closed {
		s.queued = true
		l.ready = append(l.ready, s)
	}
}

// add makes a socket with the loop's settings, and has receive called for it.
func (l *Loop) add(kind zmq4.Type, set func(*zmq4.Socket) error, receive func()) (*source, error) {
	socket, err := l.context.NewSocket(kind)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &source{socket: socket, receive: receive}
	fail := func(err error) (*source, error) {
		_ = socket.Close() // the first error counts
		return nil, err
	}
	if err := socket.SetLinger(0); err != nil {
		return fail(err)
	}
	if set != nil {
		if err := set(socket); err != nil {
			return fail(err)
		}
	}
	fd, err := socket.GetFd()
	if err != nil {
		return fail(err)
	}
	s.fd = int32(fd)
	// Edges, as ZMQ_FD is meant: a level would keep a socket awake that is not read on purpose.
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: s.fd}); err != nil {
		return fail(fmt.Errorf("epoll: %w", err))
	}
	l.sources[s.fd] = s
	l.look(s)
	return s, nil
}

// drop closes a socket; what it has still to send it sends in the background, within its linger.
func (l *Loop) drop(s *source) {
	if s == nil || s.closed {
		return
	}
	s.closed = true
	delete(l.sources, s.fd)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(s.fd), nil) // the descriptor is closed next
	if err := s.socket.Close(); err != nil {
		l.logf("zmq: closing a socket: %v", err)
	}
}

// watch has the connections of a socket told of.
func (l *Loop) watch(s *source, events zmq4.Event, told func(event zmq4.Event, address string, value int)) (*source, error) {
	l.number++
	address := fmt.Sprintf("inproc://monitor-%d", l.number)
	if err := s.socket.Monitor(address, events); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	var monitor *source
	monitor, err := l.add(zmq4.PAIR, func(p *zmq4.Socket) error { return p.Connect(address) }, func() {
		for !monitor.closed {
			event, peer, value, err := monitor.socket.RecvEvent(zmq4.DONTWAIT)
			if err != nil { // EAGAIN
				return
			}
			told(event, peer, value)
		}
	})
	return monitor, err
}

// seldom tells whether a kind of message is to be logged: once a second.
func (l *Loop) seldom(kind string) bool {
	now := time.Now()
	if now.Sub(l.told[kind]) < time.Second {
		return false
	}
	if len(l.told) > 1000 {
		clear(l.told)
	}
	l.told[kind] = now
	return true
}

// end closes everything; sockets have lingerTime at most to send what they have.
func (l *Loop) end() {
	l.mu.Lock()
	l.ended = true
	left := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, f := range left { // somebody may wait for them
		f()
	}
	for _, s := range l.sources {
		l.drop(s)
	}
	if err := l.context.Term(); err != nil {
		l.logf("zmq: %v", err)
	}
	_ = unix.Close(l.bell)
	_ = unix.Close(l.epoll)
}

// Close ends the loop. Servers and clients are closed before; what is left ends without an answer.
func (l *Loop) Close() {
	l.post(func() { l.closing = true })
	<-l.done
	l.running.Wait()
}
