package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"envoxyd/internal/routerspec"
)

// spoolMemory is how much of a body is kept in memory, bytes.
const spoolMemory = 64 << 10

// Errors of bodies that cannot be kept.
var (
	ErrTooLarge = errors.New("the body is larger than it may be")
	ErrNoRoom   = errors.New("there is no room for more bodies")
)

// Spool keeps whole bodies, in memory or in files without a name, before they are passed on.
type Spool struct {
	dir         string
	limit       int64 // of one body; 0: none
	files, used int64 // of all bodies on disk; used is atomic
}

// NewSpool makes one as the options say.
func NewSpool(spec *routerspec.Routing) *Spool {
	return &Spool{dir: spec.BufferDir, limit: spec.LimitPost, files: spec.FilesLimit}
}

// Kept is a body that is there as a whole.
type Kept struct {
	Size int64

	spool  *Spool
	memory []byte
	file   *os.File
	onDisk int64
}

// Keep makes an empty one.
func (s *Spool) Keep() *Kept { return &Kept{spool: s} }

// Write implements io.Writer. After an error the body is of no use.
func (k *Kept) Write(p []byte) (int, error) {
	if k.spool.limit > 0 && k.Size+int64(len(p)) > k.spool.limit {
		return 0, ErrTooLarge
	}
	if k.file == nil && len(k.memory)+len(p) <= spoolMemory {
		k.memory = append(k.memory, p...)
		k.Size += int64(len(p))
		return len(p), nil
	}
	if k.file == nil {
		if err := k.open(); err != nil {
			return 0, err
		}
	}
	if err := k.toDisk(p); err != nil {
		return 0, err
	}
	k.Size += int64(len(p))
	return len(p), nil
}

func (k *Kept) open() error {
	dir := k.spool.dir
	if dir == "" {
		dir = os.TempDir()
	}
	file, err := os.CreateTemp(dir, "envoxyd-router-")
	if err != nil {
		return fmt.Errorf("a body of a request: %w", err)
	}
	_ = os.Remove(file.Name()) // it lives as long as it is open
	k.file = file
	memory := k.memory
	k.memory = nil
	return k.toDisk(memory)
}

func (k *Kept) toDisk(p []byte) error {
	used := atomic.AddInt64(&k.spool.used, int64(len(p)))
	k.onDisk += int64(len(p))
	if k.spool.files > 0 && used > k.spool.files {
		return ErrNoRoom
	}
	if _, err := k.file.Write(p); err != nil {
		return fmt.Errorf("a body of a request: %w", err)
	}
	return nil
}

// Reader reads the body from its start. It may be called again for another attempt.
func (k *Kept) Reader() io.Reader {
	if k.file == nil {
		return bytes.NewReader(k.memory)
	}
	return io.NewSectionReader(k.file, 0, k.Size)
}

// Close lets the body go.
func (k *Kept) Close() {
	if k.file != nil {
		_ = k.file.Close()
		atomic.AddInt64(&k.spool.used, -k.onDisk)
		k.onDisk = 0
	}
}
