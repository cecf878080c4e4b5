package worker

import (
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
)

// noteworthy is the shortest wait before the worker has seen a request that is asked for: the kernel counts milliseconds.
const noteworthy = int64(2 * time.Millisecond)

// noteFetched notes that the kernel has just told of events; waited: nothing was there when it was asked.
func (r *reactor) noteFetched(waited bool) {
	r.unasked = r.now - r.fetchedAt
	if waited {
		r.unasked = 0
	}
	r.fetchedAt = r.now
}

// arrival is since when what was just read from a connection has waited. If the worker had been busy for a while before it
// looked, the kernel is asked when the data came. It knows of TCP only: elsewhere the wait begins when the worker looked.
func (r *reactor) arrival(cn *conn) int64 {
	if r.hot != nil { // just accepted: the kernel was asked before the requests that came first
		if r.now-r.fetchedAt+r.unasked < noteworthy {
			return r.now
		}
	} else if r.unasked < noteworthy {
		return r.fetchedAt
	}
	if !cn.listener.tcp || cn.over != nil {
		return r.fetchedAt
	}
	info, err := unix.GetsockoptTCPInfo(cn.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return r.fetchedAt
	}
	now := monotime.Now()
	came := now - int64(info.Last_data_recv)*int64(time.Millisecond)
	return min(max(came, r.fetchedAt-r.unasked), now)
}

// queueTime is how long the current request has waited until the application had it.
func (s *slot) queueTime() time.Duration {
	return time.Duration(max(int64(s.io.entered)-s.arrived, 0))
}

// noteTimes counts the current request, which has just ended, in the histograms.
func (s *slot) noteTimes() {
	entered := int64(s.io.entered)
	switch {
	case s.io.flags&reqService != 0: // a question to the server itself
	case s.io.flags&reqEvent != 0:
		s.timing.Events.Note(s.now - entered)
	default:
		s.timing.Note(int(s.io.status), entered-s.arrived, s.now-entered)
	}
}
