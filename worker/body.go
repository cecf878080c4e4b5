package worker

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// bodyInMemory is the largest body that is kept in memory when --post-buffering
// does not say otherwise; larger ones go to an unlinked file.
const bodyInMemory = 1 << 20

// body is a request's body while it arrives and while the application reads it.
type body struct {
	memory []byte
	limit  int64 // of memory
	file   *os.File
	size   int64
	pinner runtime.Pinner
	mapped []byte
}

func newBody(expected, limit int64) *body {
	if limit <= 0 {
		limit = bodyInMemory
	}
	b := &body{limit: limit}
	if expected <= limit {
		b.memory = make([]byte, 0, expected)
	}
	return b
}

// Write appends; it moves what there is to a file once that is over the limit.
func (b *body) Write(p []byte) (int, error) {
	b.size += int64(len(p))
	if b.file == nil && b.size <= b.limit {
		b.memory = append(b.memory, p...)
		return len(p), nil
	}
	if b.file == nil {
		dir := os.TempDir()
		fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return 0, fmt.Errorf("request body: file in %s: %w", dir, err)
		}
		b.file = os.NewFile(uintptr(fd), dir)
		if _, err := b.file.Write(b.memory); err != nil {
			return 0, fmt.Errorf("request body: %w", err)
		}
		b.memory = nil
	}
	n, err := b.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("request body: %w", err)
	}
	return n, nil
}

// bytes is the whole body at an address that stays until free.
func (b *body) bytes() ([]byte, error) {
	if b.file == nil {
		if len(b.memory) > 0 {
			b.pinner.Pin(&b.memory[0])
		}
		return b.memory, nil
	}
	mapped, err := unix.Mmap(int(b.file.Fd()), 0, int(b.size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	b.mapped = mapped
	return mapped, nil
}

func (b *body) free() {
	b.pinner.Unpin()
	if b.mapped != nil {
		_ = unix.Munmap(b.mapped)
	}
	if b.file != nil {
		_ = b.file.Close()
	}
}
