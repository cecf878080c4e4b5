package worker

import (
	"os"
	"runtime"

	"envoxyd/transports/http"
)

// bodyInMemory is the largest body that is kept in memory when --post-buffering
// does not say otherwise; larger ones go to an unlinked file.
const bodyInMemory = 1 << 20

// body is a request's body while it arrives and while the application reads it.
type body struct {
	memory []byte
	limit  int64 // of memory
	spool  *spool
	file   *os.File
	size   int64 // of what was taken; what could not be written is not counted
	pinner runtime.Pinner
}

// errSpool is a body that could not be kept: our failure, not the client's.
type errSpool struct{ err error }

func (e *errSpool) Error() string { return "request body: " + e.err.Error() }

func (e *errSpool) Unwrap() error { return e.err }

// refusal is what the client is told.
func (e *errSpool) refusal() *http.Error {
	if full(e.err) {
		return http.Refusal(507, e.Error())
	}
	return http.Refusal(500, e.Error())
}

func (w *Worker) newBody(expected int64) *body {
	limit := w.spec.Limits.PostBuffering
	if limit <= 0 {
		limit = bodyInMemory
	}
	b := &body{limit: limit, spool: &w.spool}
	if expected <= limit {
		b.memory = make([]byte, 0, expected)
	}
	return b
}

// Write appends; it moves what there is to a file once that is over the limit.
func (b *body) Write(p []byte) (int, error) {
	if b.file == nil && b.size+int64(len(p)) <= b.limit {
		b.memory = append(b.memory, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	if b.file == nil {
		if err := b.spill(); err != nil {
			return 0, &errSpool{err}
		}
	}
	n, err := b.file.Write(p)
	b.size += int64(n)
	if err != nil {
		return n, &errSpool{err}
	}
	return n, nil
}

// spill moves what is in memory to a file.
func (b *body) spill() error {
	file, err := b.spool.file()
	if err != nil {
		return err
	}
	b.file = file
	if _, err := b.file.Write(b.memory); err != nil {
		return err
	}
	b.memory = nil
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
	if b.file != nil {
		_ = b.file.Close()
	}
}
