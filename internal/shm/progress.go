package shm

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ProgressSlots is how many counters a Progress has.
const ProgressSlots = 4096

// Progress is counters that one process sets and another reads, also after the first
// has been killed: how much of a piece of work is done. Python sets them in
// modules/python/envoxyd_service/mqtt_events.py, as 32-bit little endian numbers.
type Progress struct{ memory []byte }

// NewProgressFile makes the memory; it is closed on exec.
func NewProgressFile(name string) (*os.File, error) { return newFile(name, 4*ProgressSlots) }

// OpenProgress maps the counters behind a descriptor.
func OpenProgress(fd int) (*Progress, error) {
	memory, err := mapFile(fd, 4*ProgressSlots)
	if err != nil {
		return nil, err
	}
	return &Progress{memory}, nil
}

func (p *Progress) at(slot int) *uint32 { return (*uint32)(unsafe.Pointer(&p.memory[4*slot])) }

// Reset begins a piece of work.
func (p *Progress) Reset(slot int) { atomic.StoreUint32(p.at(slot), 0) }

// Done is how much of it is done.
func (p *Progress) Done(slot int) int { return int(atomic.LoadUint32(p.at(slot))) }

// Close unmaps the memory.
func (p *Progress) Close() error { return unix.Munmap(p.memory) }
