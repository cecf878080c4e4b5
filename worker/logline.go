package worker

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"envoxyd/internal/procmem"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/worker/requestlog"
)

// prepareLog compiles what the options say about log lines.
func (w *Worker) prepareLog() error {
	log := &w.spec.Log
	w.requestLog = 2
	if log.RequestFD > 0 {
		w.requestLog = log.RequestFD
	}
	line, err := requestlog.New(log.Format, log.Strftime, log.Date)
	if err != nil {
		return err
	}
	line.Whole = log.Whole
	line.JSON, line.Short, line.Color = log.JSON, log.Short, log.Color
	line.Micros, line.Memory, line.Host = log.Micros, log.Memory, log.Host
	w.line = line
	if strings.Contains(log.Format, "%(metric.") {
		if err := w.metrics.open(w.spec.MetricsFD); err != nil {
			return err
		}
		w.metric = func(name string) (int64, bool) {
			if m := w.metrics.find(name); m != nil {
				return m.Value.Load(), true
			}
			return 0, false
		}
	}
	return nil
}

// logRequest writes the line about the current request, in one write.
func (s *slot) logRequest() {
	io, q, r := s.io, &s.request, &s.record
	end := time.Now().UnixNano() // the line shows the time of day
	*r = requestlog.Record{
		PID: os.Getpid(), Worker: s.w.id, Core: s.index,
		App: int(io.app), AppRequests: s.w.served.Load() + 1 - s.w.staticServed.Load(), Total: s.w.total(),
		Addr: q.addr, User: q.user, Method: q.method, URI: q.uri, Proto: q.proto,
		Block: unsafe.Slice((*byte)(io.vars), io.vars_len), Vars: q.nvars, Logvars: s.logvars,
		Start: end - (s.now - q.start), End: end, Queue: int64(s.queueTime()), ContentLength: int64(io.content_length),
		Status: int(io.status), Headers: int(io.headers), HeadSize: int(io.head_len), Sent: int64(io.sent),
		Modifier1: q.modifier1, Modifier2: q.modifier2, Metric: s.w.metric,
	}
	if io.app >= 0 && !s.response.sendfile {
		r.Switches = 1 + int(io.switches)
	}
	if s.response.sendfile {
		r.Via = " via sendfile()"
		if s.w.spec.Log.Offload {
			r.Via = " via offload()"
		}
	}
	if s.response.forwarded {
		r.Via = " via route()"
	}
	if s.response.errno != 0 {
		r.WriteErrors = 1
	}
	if io.body_state != bodyWhole {
		r.ReadErrors = 1
	}
	if s.w.line.Memory > 0 {
		r.RSS, r.VSZ = usage()
		if s.w.line.Memory > 1 {
			r.USS, r.PSS = procmem.Self.Own()
		}
	}
	s.logline = s.w.line.Append(s.w.mark(s.logline[:0], s.w.requestLog, workerspec.RequestMark), r)
	s.w.writeLog(s.w.requestLog, s.logline)
}

// mark begins a line for the descriptor.
func (w *Worker) mark(line []byte, fd int, mark byte) []byte {
	if w.spec.Log.Marked && fd == 2 {
		line = append(line, mark)
	}
	return line
}

// writeLog writes one line. Where the master takes the lines and does not, the line is
// lost after a while; how many were is said as soon as it takes lines again.
func (w *Worker) writeLog(fd int, line []byte) {
	if lost := w.lostLines.Load(); lost > 0 && w.lostLines.CompareAndSwap(lost, 0) {
		why := "the log did not take them in time"
		if errno := syscall.Errno(w.lostWhy.Load()); errno != syscall.EAGAIN {
			why = errno.Error()
		}
		note := w.mark(nil, 2, workerspec.LineMark)
		if w.tornLine.Swap(false) {
			note = append(note, '\n')
		}
		note = fmt.Appendf(note, "*** worker %d: %d log line(s) lost: %s ***\n", w.id, lost, why)
		if !w.writeWhole(2, note) {
			w.lostLines.Add(lost)
		}
	}
	if !w.writeWhole(fd, line) {
		w.lostLines.Add(1)
	}
}

// writeWhole writes a line, or notes why that cannot be. The disk may end within it.
func (w *Worker) writeWhole(fd int, line []byte) bool {
	for begun := false; ; {
		n, err := syscall.Write(fd, line)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			var errno syscall.Errno
			errors.As(err, &errno)
			w.lostWhy.Store(uint32(errno))
			if begun {
				w.tornLine.Store(true)
			}
			return false
		case n == len(line):
			return true
		}
		line, begun = line[n:], true
	}
}

// maxLogvar is the largest name and value of a logvar, in bytes: what uWSGI's length fields hold.
const maxLogvar = 255

// setLogvar keeps a value for %(name) until the request has ended. Without a name it could not be asked for, and a block of variables
// ends where one has no name.
func (s *slot) setLogvar(name, value []byte) {
	if len(name) == 0 {
		return
	}
	s.logvars = uwsgi.AppendVar(s.logvars, name[:min(len(name), maxLogvar)], value[:min(len(value), maxLogvar)])
}

// logvar copies a value into room; -1: there is none of that name.
func (s *slot) logvar(name, room []byte) int {
	value, given := uwsgi.Last(s.logvars, name)
	if !given {
		return -1
	}
	return copy(room, value)
}
