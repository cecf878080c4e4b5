package worker

import (
	"syscall"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
)

// cancelTime is what a task has for its end when it was cancelled for taking too long; then its process is killed.
const cancelTime = 3 * time.Second

// mark notes in the scoreboard that the core is busy, with what, and until when
// it may be.
func (s *slot) mark() {
	s.line.SetRequest(s.request.addr, s.request.method, s.request.uri)
	s.markBusy()
}

func (s *slot) markBusy() {
	s.line.Since.Store(s.now)
	if limit := s.w.spec.Limits.HarakiriSeconds; limit > 0 {
		deadline := s.now + int64(limit)*int64(time.Second)
		if s.w.spec.Loop.ASGI() {
			deadline += int64(cancelTime)
		}
		s.line.Deadline.Store(deadline)
	}
	s.line.State.Store(shm.Busy)
}

// account closes the request's entry: scoreboard and log.
func (s *slot) account() {
	io, line := s.io, s.line
	now := monotime.Now()
	s.now = now
	spent := now - s.request.start
	line.State.Store(shm.Idle)
	line.Deadline.Store(0)
	if line.UserDeadline.Load() != 0 {
		line.UserDeadline.Store(0)
	}
	line.Requests.Store(line.Requests.Load() + 1) // one writer: no need of a locked add
	line.Sent.Store(line.Sent.Load() + uint64(io.sent) + uint64(io.head_len))
	line.Micros.Store(line.Micros.Load() + uint64(spent/1000))
	s.noteTimes()
	if io.result&resException != 0 {
		line.Exceptions.Store(line.Exceptions.Load() + 1)
	}
	s.current.listener.count(workerspec.CountRequests)
	if s.response.errno != 0 {
		line.WriteErrors.Store(line.WriteErrors.Load() + 1)
	}
	if io.body_state != bodyWhole {
		line.ReadErrors.Store(line.ReadErrors.Load() + 1)
	}
	if io.flags&reqService == 0 && s.toLog(spent) {
		s.logRequest()
	}
	s.sendSpan()
}

func (s *slot) toLog(spent int64) bool {
	log := &s.w.spec.Log
	if s.unlogged() {
		return false
	}
	if log.Requests || s.response.forceLog {
		return true
	}
	io := s.io
	return log.On4xx && io.status/100 == 4 || log.On5xx && io.status/100 == 5 ||
		log.SlowMillis > 0 && spent/1e6 >= log.SlowMillis ||
		log.Big > 0 && int64(io.sent) >= log.Big ||
		log.Zero && io.sent == 0 ||
		log.Sendfile && s.response.sendfile ||
		log.IOErrors && (s.response.errno != 0 || io.body_state != bodyWhole)
}

// total is the number of requests that all workers have served, with this one.
func (w *Worker) total() (n uint64) {
	for row := 1; row <= w.board.Rows(); row++ {
		for core := range w.board.Cores() {
			n += w.board.Core(row, core).Requests.Load()
		}
	}
	return n
}

// logWriteError says that a client did not take its response.
func (s *slot) logWriteError(errno syscall.Errno) {
	log, r := &s.w.spec.Log, &s.request
	if errno == syscall.EPIPE && !log.QuietSigpipe {
		s.w.logf("%s - SIGPIPE: writing to a closed pipe/socket/fd (probably the client disconnected) on request %s (ip %s) !!!",
			time.Now().Format(time.ANSIC), r.uri, r.addr)
	}
	if log.QuietWrites {
		return
	}
	if errno == syscall.ETIMEDOUT {
		s.w.logf("uwsgi_response_write_body_do() TIMEOUT !!!")
		return
	}
	s.w.logf("uwsgi_response_write_body_do(): %v during %s %s (%s)", errno, r.method, r.uri, r.addr)
}

// userHarakiri has the master kill this worker if the request lasts that many
// seconds longer; 0 disarms, and a negative number harakiri itself too.
func (s *slot) userHarakiri(seconds int) {
	if seconds < 0 {
		s.line.Deadline.Store(0)
	}
	deadline := int64(0)
	if seconds > 0 {
		deadline = monotime.Now() + int64(seconds)*int64(time.Second)
	}
	s.line.UserDeadline.Store(deadline)
}

// logShort says that the application gave less than its Content-Length.
func (s *slot) logShort() {
	s.w.logf("the response to %q is shorter than its Content-Length (%d bytes of body): closing the connection", s.request.uri, uint64(s.io.sent))
}
