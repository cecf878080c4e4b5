package worker

import (
	"errors"
	"os"
	"runtime"

	"envoxyd/transports/http"
)

// bodyInMemory is the largest body that is kept in memory when --post-buffering
// does not say otherwise; larger ones go to an unlinked file.
const bodyInMemory = 1 << 20

// body is a request's body while it arrives and while the application reads it.
type body struct {
	memory  []byte
	limit   int64 // of memory
	taken   int64 // of the budget for memory
	spool   *spool
	budgets *budgets
	file    *os.File
	size    int64 // of what was taken; what could not be written is not counted
	pinner  runtime.Pinner
}

// errSpool is a body that could not be kept: our failure, not the client's.
type errSpool struct{ err error }

func (e *errSpool) Error() string { return "request body: " + e.err.Error() }

func (e *errSpool) Unwrap() error { return e.err }

// refusal is what the client is told.
func (e *errSpool) refusal() *http.Error {
	spent := (*errBudget)(nil)
	status := 500
	switch {
	case errors.As(e.err, &spent) && spent.never:
		status = 413
	case spent != nil:
		status = 503
	case full(e.err):
		status = 507
	}
	return http.Refusal(status, e.Error())
}

func (w *Worker) newBody(expected int64) *body {
	limit := w.spec.Limits.PostBuffering
	if limit <= 0 {
		limit = bodyInMemory
	}
	b := &body{limit: limit, spool: &w.spool, budgets: w.budgets}
	if expected > limit || !b.budgets.bodies.take(expected) {
		b.limit = 0
		return b
	}
	b.memory, b.taken = make([]byte, 0, expected), expected
	return b
}

// copiedBody is a body that was read at once; nil for none.
func (w *Worker) copiedBody(data []byte) *body {
	if len(data) == 0 {
		return nil
	}
	return &body{memory: append([]byte(nil), data...), size: int64(len(data)), budgets: w.budgets}
}

// Write appends; it moves what there is to a file once that is over a limit.
func (b *body) Write(p []byte) (int, error) {
	if b.file == nil && b.fits(int64(len(p))) {
		b.memory = append(b.memory, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	if b.file == nil {
		if err := b.spill(); err != nil {
			return 0, &errSpool{err}
		}
	}
	if err := b.budgets.spool(int64(len(p)), b.size); err != nil {
		return 0, &errSpool{err}
	}
	n, err := b.file.Write(p)
	b.size += int64(n)
	if err != nil {
		b.budgets.unspool(int64(len(p) - n))
		return n, &errSpool{err}
	}
	return n, nil
}

// fits tells whether n more bytes may be in memory, and takes the room for them.
func (b *body) fits(n int64) bool {
	if b.size+n > b.limit {
		return false
	}
	more := b.size + n - b.taken
	if more > 0 && !b.budgets.bodies.take(more) {
		return false
	}
	b.taken += max(more, 0)
	return true
}

// spill moves what is in memory to a file.
func (b *body) spill() error {
	file, err := b.spool.file()
	if err != nil {
		return err
	}
	if err := b.budgets.spool(b.size, 0); err != nil {
		_ = file.Close()
		return err
	}
	b.file = file
	if _, err := b.file.Write(b.memory); err != nil {
		return err
	}
	b.memory = nil
	b.budgets.bodies.give(b.taken)
	b.taken = 0
	return nil
}

// bytes is a body that is in memory, at an address that stays until free; nil if it is in a file.
func (b *body) bytes() []byte {
	if b == nil || b.file != nil || len(b.memory) == 0 {
		return nil
	}
	b.pinner.Pin(&b.memory[0])
	return b.memory
}

// offer has C read the body from its file, if it is in one.
func (b *body) offer(io *coreIO) {
	if b == nil || b.file == nil {
		return
	}
	io.body_fd, io.body_len = cInt32(b.file.Fd()), cUint64(b.size)
}

func (b *body) free() {
	b.pinner.Unpin()
	b.budgets.bodies.give(b.taken)
	b.taken = 0
	if b.file != nil {
		_ = b.file.Close()
		b.file = nil
		b.budgets.unspool(b.size)
	}
}
