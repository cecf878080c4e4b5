package worker

import (
	"sync/atomic"
	"time"

	"envoxyd/internal/monotime"
)

// logLimit keeps an error that comes again and again from filling the log.
type logLimit struct {
	next atomic.Int64  // the worker's age from which on it may be told again
	held atomic.Uint64 // how often it has come since it was told
}

// logLimited is logf for what may repeat: one line a second at most.
func (w *Worker) logLimited(limit *logLimit, format string, args ...any) {
	now := monotime.Now() - w.started
	next := limit.next.Load()
	if now < next || !limit.next.CompareAndSwap(next, now+int64(time.Second)) {
		limit.held.Add(1)
		return
	}
	if held := limit.held.Swap(0); held > 0 {
		format += " (and %d more like this)"
		args = append(args, held)
	}
	w.logf(format, args...)
}

// limits are what repeats, each by itself.
type limits struct {
	accept, epoll, handover, receive, spool, unread, scripts, forwarded logLimit
}
