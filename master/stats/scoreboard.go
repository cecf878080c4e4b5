package stats

import (
	"fmt"
	"strings"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
)

// Read fills in what the scoreboard tells of the worker: its cores, their sums, its status.
// The rows are that of the process PID, and others that have counted for it. Workers go on writing while it reads.
func (w *Worker) Read(board *shm.Board, rows []int) {
	switch {
	case w.PID == 0:
		w.Status = Cheap
	case board.Suspended(rows[0]):
		w.Status = Paused
	default:
		w.Status = Idle
	}
	w.Counters, w.Timing, w.Cores = Counters{}, Timing{}, make([]Core, 0, board.Cores())
	for number := range board.Cores() {
		core := readCore(number, board.Core(rows[0], number))
		w.add(board.Timing(rows[0], number))
		for _, other := range rows[1:] {
			more := readCore(number, board.Core(other, number))
			core.Add(more.Counters)
			w.add(board.Timing(other, number))
			if core.Request == nil {
				core.Request = more.Request
			}
		}
		switch {
		case core.Request != nil:
			w.Status = Busy
		case core.Signal >= 0 && w.Status != Busy:
			w.Status = Status(fmt.Sprintf("sig%d", core.Signal))
		}
		w.Add(core.Counters)
		w.Cores = append(w.Cores, core)
	}
}

func readCounters(line *shm.Core) Counters {
	return Counters{
		Requests: line.Requests.Load(), Static: line.Static.Load(), Routed: line.Routed.Load(), Exceptions: line.Exceptions.Load(),
		WriteErrors: line.WriteErrors.Load(), ReadErrors: line.ReadErrors.Load(), Sent: line.Sent.Load(),
		RunningTime: time.Duration(line.Micros.Load()) * time.Microsecond,
		Signals:     line.Signals.Load(),
	}
}

func readCore(number int, line *shm.Core) Core {
	c := Core{ID: number, Signal: int(line.Handling.Load()) - 1, Counters: readCounters(line)}
	if line.State.Load() == shm.Busy && c.Signal < 0 {
		c.Request = parseRequest(line.Request())
		c.Request.Since = monotime.Time(line.Since.Load())
		if due := line.Deadline.Load(); due != 0 {
			c.Request.Deadline = monotime.Time(due)
		}
	}
	return c
}

// parseRequest reads "ADDR - METHOD URI".
func parseRequest(text string) *Request {
	addr, rest, _ := strings.Cut(text, " - ")
	method, uri, _ := strings.Cut(rest, " ")
	return &Request{Addr: addr, Method: method, URI: uri}
}
