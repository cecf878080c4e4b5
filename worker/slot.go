package worker

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/transports/http"
	"envoxyd/worker/requestlog"
)

// inputSize is what one read takes at most. A request that is not whole after
// one read is left to a goroutine.
const inputSize = 64 << 10

// slot is a request in hand, or the room for one: uWSGI's core, one Python thread's half in Go.
// It belongs to its thread, but for what is atomic and what has a lock of its own.
type slot struct {
	parser
	r     *reactor
	index int
	io    *coreIO
	line  *shm.Core
	now   int64 // by the monotonic clock, in nanoseconds; read when a request begins and ends
	// arrived is since when the current request has waited for the application, as far as the worker can know.
	arrived int64
	timing  *shm.Timing

	input []byte // C memory of inputSize or the buffer size, whichever is more
	rest  []byte // of input: what is behind the current request
	inRow int    // requests in a row from one reading of a connection

	parsed   parsed // what parse has found; the request's, until it begins
	current  *conn
	response response
	link     *conn // the one connection of the gateway's that the slot keeps
	fate     fate  // of the connection whose request has been finished

	arriving *arriving // the body of the current request, if the application has started before it was there

	routed *routed // nil: there are no rules
	traced *traced // nil: no spans are exported

	frames atomic.Pointer[frames] // of a request that has become a websocket

	unsent     [2][]byte // of a write in a loop, until the client reads; the caller's memory
	unsentMode int

	held     []byte // responses to pipelined requests, which leave together
	holding  atomic.Bool
	heldFD   int
	heldLock sync.Mutex // guards held and heldFD while holding

	claim   atomic.Int32 // who answers: unclaimed …
	entered atomic.Int64 // when the application was entered; 0: it is not in there
	stat    string       // the file that tells what the thread does
	gate    gate         // where the thread waits while another one leads

	handling bool // a uwsgi signal

	sincePause int   // requests since the last pause
	paused     int64 // when the slot last made a pause for Go's scheduler

	logline    []byte
	record     requestlog.Record
	logvars    []byte // uwsgi.set_logvar's, as a block of variables
	fileHead   []byte // of the response with a file
	fileFields []byte // likewise, its header fields
	fileBuffer []byte // where small files are read into
	framed     []byte // a part of the response as the protocol has it, before it is sent
}

// fate is what becomes of a connection after a request.
type fate int

const (
	undecided fate = iota
	fateKept
	fateDropped
	fateSent     // by a goroutine, which decides
	fateSentKept // likewise; the connection may be kept then
)

// response is what has become of the current response so far.
type response struct {
	keep      bool // the client allows another request
	body      *body
	sender    *sender // of what the client did not take at once
	file      *fileRest
	errno     syscall.Errno
	forceLog  bool
	sendfile  bool         // the body is a file's
	forwarded bool         // another server's, by a rule
	id        uint16       // the request's, for the transport
	chunks    *http.Chunks // of a body that came in chunks
}

func newSlot(r *reactor, index int, io *coreIO) (*slot, error) {
	w := r.w
	s := &slot{parser: parser{w: w}, r: r, index: index, io: io, line: w.board.Core(w.row, index), timing: w.board.Timing(w.row, index)}
	var err error
	if s.input, err = offHeap(max(inputSize, w.spec.Limits.BufferSize+4)); err != nil {
		return nil, err
	}
	if s.vars, err = offHeap(varsRoom(w.spec.Limits.BufferSize)); err != nil {
		return nil, err
	}
	if w.routes != nil {
		if s.routed, err = newRouted(w); err != nil {
			return nil, err
		}
	}
	if w.tracer != nil {
		if s.traced, err = newTraced(w); err != nil {
			return nil, err
		}
	}
	io.link_fd, io.event_fd = -1, -1
	s.line.Before.Store(s.line.Requests.Load())
	s.line.Handling.Store(0)
	s.line.PID.Store(uint32(os.Getpid()))
	s.line.State.Store(shm.Idle)
	s.line.Suspended.Store(0)
	s.line.Deadline.Store(0)
	s.line.UserDeadline.Store(0)
	return s, nil
}

// offHeap is zeroed memory that Go's collector neither scans nor moves.
func offHeap(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// next finishes the current request and waits for another one. It is the core
// step: everything on its straight path is a raw system call or a few
// comparisons.
func (s *slot) next() int { return s.step(stepWait) }

// effort is what a step does to find a request.
type effort int

const (
	stepKnown effort = iota // takes what the reactor knows of already
	stepAsk                 // asks the kernel
	stepWait                // waits
)

// step is next; one that does not wait returns nextIdle when there is nothing to do. A loop that calls
// it so watches the reactor's epoll descriptor, which is readable when there is.
func (s *slot) step(effort effort) int {
	s.entered.Store(0)
	if s.current != nil {
		s.finish()
	}
	if s.handling {
		s.signalDone()
	}
	r := s.r
	r.mu.Lock()
	if s.stat == "" {
		s.stat = fmt.Sprintf("/proc/self/task/%d/stat", unix.Gettid())
	}
	outcome := r.run(s, effort)
	r.mu.Unlock()
	return outcome
}

// enter goes to the application with the request in io. The reactor's lock is held.
func (s *slot) enter() int {
	s.pause()
	s.setQueued()
	s.entered.Store(s.now)
	s.w.bell.Ring()
	s.r.goesIn(s)
	return nextRequest
}

// Go's scheduler takes a core for one goroutine that never pauses: after 10 ms it
// would take the processor away at every check, 50,000 times a second, and let the
// core ask for it back. A pause now and then, while the core is busy, costs less.
const (
	pauseEvery = int64(5 * time.Millisecond)
	pauseAfter = 16 // requests: an idle core has nothing to gain
)

func (s *slot) pause() {
	if s.sincePause++; s.sincePause < pauseAfter || s.now-s.paused < pauseEvery {
		return
	}
	s.sincePause, s.paused = 0, s.now
	runtime.Gosched()
}

// settle does what finish has found is to become of the connection. True: its next request, which
// was sent along, is in io. The reactor's lock is held.
func (s *slot) settle() bool {
	fate, cn, rest := s.fate, s.current, s.rest
	if fate == undecided {
		return false
	}
	r := s.r
	if s.io.app >= 0 {
		r.learn(s.now - s.request.start)
	}
	s.fate, s.current, s.rest = undecided, nil, nil
	r.inHand--
	cn.inHand = false
	r.now = max(r.now, s.now)
	switch fate {
	case fateKept:
		if len(rest) > 0 {
			if s.inRow++; s.inRow < mostInRow {
				return s.parse(cn, rest)
			}
			s.flushHeld()
			cn.rest = append([]byte(nil), rest...)
		}
		s.inRow = 0
		if cn.inMemory() { // its one request is served
			r.drop(cn)
			return false
		}
		r.keep(cn, s)
	case fateDropped:
		r.drop(cn)
	default:
		if fate == fateSentKept {
			cn.rest = append(cn.rest, rest...)
		}
		r.release(cn)
		if s.response.sender == nil {
			s.sendLater(cn)
		}
		s.response.sender.end(fate == fateSentKept, s.response.file)
	}
	return false
}

// mostInRow is how many requests that came together are served before other connections have their turn.
const mostInRow = 64
