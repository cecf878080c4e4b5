package shm

import (
	"sync/atomic"
	"unsafe"

	"envoxyd/internal/latency"
)

// Timing is how long a core's requests take, and how they are answered. Only the worker that owns the core writes.
type Timing struct {
	Responses   [6]atomic.Uint64 // requests over HTTP and its kin, by the class of their status; 0: no status
	_           [2]uint64
	Application latency.Shared // the same requests, from where the application has them to the end of the response
	Queue       latency.Shared // the same requests, before that: since the worker could know of them
	Events      latency.Shared // deliveries to a service's event handlers
}

// Note counts a request that was answered with a status. Only the writer may call it.
func (t *Timing) Note(status int, queued, application int64) {
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	t.Responses[class].Store(t.Responses[class].Load() + 1) // one writer: no need of a locked add
	t.Application.Note(application)
	t.Queue.Note(queued)
}

// moveTo adds what was counted to another one and forgets it. No process may write to either.
func (t *Timing) moveTo(to *Timing) {
	for i := range t.Responses {
		to.Responses[i].Add(t.Responses[i].Swap(0))
	}
	t.Application.MoveTo(&to.Application)
	t.Queue.MoveTo(&to.Queue)
	t.Events.MoveTo(&to.Events)
}

// TimingSize is what one Timing takes of a board, in bytes.
const TimingSize = int(unsafe.Sizeof(Timing{}))

// Timing is the timing of a core (from 0) in a row (from 1).
func (b *Board) Timing(row, core int) *Timing {
	return (*Timing)(unsafe.Pointer(&b.mem[b.lines()*CoreSize+((row-1)*b.cores+core)*TimingSize]))
}

// lines is how many cores the scoreboard has room for.
func (b *Board) lines() int { return len(b.mem) / (CoreSize + TimingSize) }
