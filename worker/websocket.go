package worker

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/worker/websocket"
)

// frames is the link to a client that speaks websocket: a request that has sent its head and goes on in both
// directions. The application's threads and coroutines may use it at the same time.
type frames struct {
	w       *Worker
	looped  bool
	serial  uint32 // of the request
	fd      int
	timeout time.Duration // that a client may take to read

	mu      sync.Mutex
	turn    *sync.Cond // sending has ended
	reader  websocket.Reader
	sending bool          // somebody's frame is on its way
	unsent  [2][]byte     // of it, in a loop
	control []byte        // frames of ours that go before the next one
	closed  bool          // no more is received or sent
	broken  bool          // and nothing can be sent: a part of a frame may have left
	ended   bool          // the request has: the descriptor is another's
	code    ws.StatusCode // that the client has closed with; 0: it has not
	sent    uint64

	pinged  int64 // when the last ping was sent, or the connection began; as reactor.now
	waiting bool  // for its pong
}

// What receive returns.
const (
	receivedNothing = 0
	receivedMessage = 1
	receivedEnd     = -1
)

// mostReads is how often in a row receive reads before others have their turn.
const mostReads = 256

// mostControlBytes is what is kept for a client that sends pings and does not read the pongs.
const mostControlBytes = 64 << 10

var pieces = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// openFrames begins with frames on the connection of the request in hand. False: its protocol has no place for them.
func (s *slot) openFrames(serial uint32) bool {
	l := s.current.listener
	if l.transport.Frame != nil || l.event || s.frames.Load() != nil || s.response.sender != nil {
		return false
	}
	s.openCurrent()
	limits := &s.w.spec.Websockets
	f := &frames{w: s.w, looped: s.r.looped, serial: serial, fd: s.current.fd, timeout: l.send, pinged: monotime.Now()}
	f.turn = sync.NewCond(&f.mu)
	f.reader.MaxSize, f.reader.MaxFragmented = limits.MaxSize, limits.ContinuationBuffer
	f.reader.Feed(s.rest)
	s.rest = nil
	s.frames.Store(f)
	if s.w.phase.Load() == stopping { // and its frames may not have been seen
		f.goAway()
	}
	return true
}

// goAway tells client and application that the server ends.
func (f *frames) goAway() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.ended {
		return
	}
	f.close(ws.StatusGoingAway, "")
	_ = unix.Shutdown(f.fd, unix.SHUT_RD) // whoever waits for a message is woken
}

// endWebsockets is for a worker that stops: websockets may stay open for ever.
func (r *reactor) endWebsockets() {
	for _, s := range r.slots {
		if f := s.frames.Load(); f != nil {
			f.goAway()
		}
	}
}

// framesOf returns the frames of the request with that number; nil: it has none, or has ended.
func (s *slot) framesOf(serial uint32) *frames {
	if f := s.frames.Load(); f != nil && f.serial == serial {
		return f
	}
	return nil
}

// endFrames is for a request that ends. The client is told, if it does not know.
func (s *slot) endFrames() {
	f := s.frames.Load()
	if f == nil {
		return
	}
	s.frames.Store(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.close(ws.StatusNormalClosure, "")
	}
	f.ended = true
	if !f.sending {
		linger(f.fd, mostReads)
	}
	if f.sending && !f.looped {
		_ = unix.Shutdown(f.fd, unix.SHUT_RDWR) // whoever sends does not wait for the client any more
		for f.sending {
			f.turn.Wait()
		}
	}
	s.io.sent += cUint64(f.sent)
}

// receive returns the next message without waiting for it. Nothing: it is to be asked again when the descriptor is
// readable, or that time is over.
func (f *frames) receive() (message websocket.Event, outcome int, patience time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	piece := pieces.Get().(*[16 << 10]byte)
	defer pieces.Put(piece)
	for range mostReads {
		if f.closed || f.ended {
			return message, receivedEnd, 0
		}
		event, whole, err := f.reader.Next()
		switch {
		case err != nil:
			f.refuse(err)
			continue
		case whole && event.Kind == websocket.Message:
			f.flush()
			return event, receivedMessage, 0
		case whole:
			f.note(event)
			continue
		}
		n, errno := readOnce(f.fd, piece[:min(int64(len(piece)), f.reader.Wants())])
		switch {
		case errno == syscall.EAGAIN:
			f.flush()
			patience, alive := f.ping(monotime.Now())
			if !alive {
				return message, receivedEnd, 0
			}
			return message, receivedNothing, patience
		case errno == syscall.EINTR:
		case n <= 0:
			f.closed = true
		default:
			f.reader.Feed(piece[:n])
		}
	}
	f.flush()
	return message, receivedNothing, 0
}

func readOnce(fd int, to []byte) (int, syscall.Errno) {
	n, err := syscall.Read(fd, to)
	if err != nil {
		return 0, errnoOf(err)
	}
	return n, 0
}

// note answers what needs no application. The lock is held.
func (f *frames) note(event websocket.Event) {
	switch event.Kind {
	case websocket.Ping:
		if len(f.control) < mostControlBytes {
			f.control = websocket.AppendFrame(f.control, ws.OpPong, event.Data)
		}
	case websocket.Pong:
		f.waiting = false
	case websocket.Close:
		f.code = ws.StatusNoStatusRcvd
		if len(event.Data) > 0 {
			f.code, _ = ws.ParseCloseFrameData(event.Data)
		}
		f.control = websocket.AppendFrame(f.control, ws.OpClose, event.Data)
		f.flush()
		f.closed = true
	}
}

// refuse ends a connection whose client does not keep to the protocol. The lock is held.
func (f *frames) refuse(err error) {
	code := ws.StatusProtocolError
	var problem *websocket.Error
	if errors.As(err, &problem) {
		code = problem.Code
	}
	f.w.logLimited(&f.w.limits.receive, "websocket: the client has sent %v", err)
	f.close(code, "")
}

// end closes with what the application says.
func (f *frames) end(code ws.StatusCode, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && !f.ended {
		f.close(code, reason)
	}
}

// closeCode is what the client has closed with, or stands for how else it has ended (RFC 6455, 7.4.1).
func (f *frames) closeCode() ws.StatusCode {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.code == 0 {
		return ws.StatusAbnormalClosure
	}
	return f.code
}

func (f *frames) close(code ws.StatusCode, reason string) {
	f.control = websocket.AppendClose(f.control, code, reason)
	f.flush()
	f.closed = true
}

// ping sends one when it is time, and tells for how long nothing is due. False: the last one was not answered. The
// lock is held.
func (f *frames) ping(now int64) (time.Duration, bool) {
	limits := &f.w.spec.Websockets
	every, tolerance := time.Duration(limits.PingSeconds)*time.Second, time.Duration(limits.PongSeconds)*time.Second
	if every <= 0 {
		return time.Hour, true
	}
	since := time.Duration(now - f.pinged)
	switch {
	case f.waiting && tolerance > 0 && since >= tolerance:
		f.w.logf("no PONG received in %d secs !!!", limits.PongSeconds)
		f.closed = true
		return 0, false
	case f.waiting && tolerance > 0:
		return tolerance - since, true
	case since >= every:
		f.control = websocket.AppendFrame(f.control, ws.OpPing, nil)
		f.flush()
		f.pinged, f.waiting = now, true
		if tolerance > 0 {
			return tolerance, true
		}
		return every, true
	}
	return every - since, true
}

// flush sends frames of ours as far as the client takes them now. The lock is held.
func (f *frames) flush() {
	for len(f.control) > 0 && !f.sending && !f.broken && !f.ended {
		n, errno := writev(f.fd, f.control, nil)
		switch errno {
		case 0:
			f.control, f.sent = f.control[n:], f.sent+uint64(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return
		default:
			f.closed, f.broken = true, true
		}
	}
	if len(f.control) == 0 {
		f.control = nil
	}
}

// send sends a message. data is the caller's, and is not used after anything but writeAgain was returned.
func (f *frames) send(code ws.OpCode, data []byte) int {
	f.mu.Lock()
	for f.sending && !f.closed && !f.ended {
		if f.looped {
			f.mu.Unlock()
			return writeBusy
		}
		f.turn.Wait()
	}
	if f.closed || f.ended {
		f.mu.Unlock()
		return writeGone
	}
	f.sending = true
	head := websocket.AppendHeader(f.control, code, len(data))
	f.control = nil
	f.mu.Unlock()
	return f.push(head, data)
}

// resume goes on with a send that has returned writeAgain; late: the client has not read in time.
func (f *frames) resume(late bool) int {
	head, data := f.unsent[0], f.unsent[1]
	f.unsent = [2][]byte{}
	if late {
		return f.pushed(writeTimeout)
	}
	return f.push(head, data)
}

func (f *frames) push(head, data []byte) int {
	for len(head)+len(data) > 0 {
		if f.gone() {
			return f.pushed(writeGone)
		}
		n, errno := writev(f.fd, head, data)
		switch {
		case errno == 0:
			f.sent += uint64(n)
			head, data = consume(head, data, n)
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN && f.looped:
			f.unsent = [2][]byte{head, data}
			return writeAgain
		case errno == syscall.EAGAIN && writable(f.fd, f.timeout):
		case errno == syscall.EAGAIN:
			return f.pushed(writeTimeout)
		default:
			return f.pushed(writeGone)
		}
	}
	return f.pushed(writeOK)
}

func (f *frames) gone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// pushed lets the next one send.
func (f *frames) pushed(outcome int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sending = false
	if outcome != writeOK {
		f.closed, f.broken = true, true
	}
	f.flush()
	f.turn.Broadcast()
	return outcome
}
