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
// modules/python/envoxyd_service/mqtt_events.py.
type Progress struct{ memory []byte }

// ProgressSlot is one counter; internal/layout writes it down for Python.
type ProgressSlot struct{ Done atomic.Uint32 }

const progressSize = ProgressSlots * int(unsafe.Sizeof(ProgressSlot{}))

// NewProgressFile makes the memory; it is closed on exec.
func NewProgressFile(name string) (*os.File, error) { return newFile(name, progressSize) }

// OpenProgress maps the counters behind a descriptor.
func OpenProgress(fd int) (*Progress, error) {
	memory, err := mapFile(fd, progressSize)
	if err != nil {
		return nil, err
	}
	return &Progress{memory}, nil
}

func (p *Progress) at(slot int) *ProgressSlot {
	return (*ProgressSlot)(unsafe.Pointer(&p.memory[slot*int(unsafe.Sizeof(ProgressSlot{}))]))
}

// Reset begins a piece of work.
func (p *Progress) Reset(slot int) { p.at(slot).Done.Store(0) }

// Done is how much of it is done.
func (p *Progress) Done(slot int) int { return int(p.at(slot).Done.Load()) }

// Close unmaps the memory.
func (p *Progress) Close() error { return unix.Munmap(p.memory) }
