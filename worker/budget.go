package worker

import (
	"fmt"
	"sync/atomic"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
)

// budget bounds what the worker uses of memory, or of a disk, for one purpose.
type budget struct {
	option string // that sets it
	limit  int64  // in bytes; 0: none
	used   atomic.Int64
}

// take tells whether n more bytes may be used, and counts them then.
func (b *budget) take(n int64) bool {
	if used := b.used.Add(n); b.limit > 0 && used > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// give says that n bytes that were taken are free again.
func (b *budget) give(n int64) { b.used.Add(-n) }

// budgets are those of a worker.
type budgets struct {
	bodies    budget // request bodies in memory
	spooled   budget // request bodies in files
	instance  int64  // likewise, of all workers together, in bytes; 0: no limit
	responses budget // what clients have not read yet, in memory

	responseFiles budget // likewise, in files

	board *shm.Board
	line  *shm.Core // the worker's own
}

func newBudgets(limits *workerspec.Limits, board *shm.Board, row int) *budgets {
	b := &budgets{
		bodies:    budget{option: "request-body-memory", limit: limits.BodyMemory},
		spooled:   budget{option: "request-body-files", limit: limits.BodyFiles},
		responses: budget{option: "response-memory", limit: limits.ResponseMemory},

		responseFiles: budget{option: "response-files", limit: limits.ResponseFiles},
		instance:      limits.BodyFilesTotal,
		board:         board, line: board.Core(row, 0),
	}
	b.line.Spooled.Store(0)
	return b
}

// errBudget is a body for which there is no room left.
type errBudget struct {
	option string
	limit  int64
	never  bool // the body is larger than all there may be
}

func (e *errBudget) Error() string {
	return fmt.Sprintf("request bodies would take more than the %d bytes of --%s", e.limit, e.option)
}

// spool counts n more bytes of a body of which size are in a file.
func (b *budgets) spool(n, size int64) error {
	if !b.spooled.take(n) {
		return &errBudget{b.spooled.option, b.spooled.limit, size+n > b.spooled.limit}
	}
	b.line.Spooled.Store(b.spooled.used.Load())
	if b.instance > 0 {
		total := int64(0)
		for row := 1; row <= b.board.Rows(); row++ {
			total += b.board.Core(row, 0).Spooled.Load()
		}
		if total > b.instance {
			b.unspool(n)
			return &errBudget{"request-body-files-total", b.instance, size+n > b.instance}
		}
	}
	return nil
}

// unspool says that n bytes in files are free again.
func (b *budgets) unspool(n int64) {
	b.spooled.give(n)
	b.line.Spooled.Store(b.spooled.used.Load())
}
