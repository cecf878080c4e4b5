package shm

import (
	"strings"
	"sync/atomic"
	"unsafe"
)

// The size of the readings among Tallies.
const (
	readingRows   = 512
	ReadingValues = 4
	readingName   = 128 - 8 - ReadingValues*8
)

// readingRow is the values of one name in one process.
type readingRow struct {
	pid    atomic.Uint32 // 0: the row is free
	size   atomic.Uint32 // of the name, once that is there
	name   [readingName]byte
	values Reading
}

const readingsSize = readingRows * int(unsafe.Sizeof(readingRow{}))

// Reading is values that go up and down, and end with their process.
type Reading [ReadingValues]atomic.Int64

func (t *Tallies) reading(number int) *readingRow {
	return (*readingRow)(unsafe.Pointer(&t.memory[tallyRows+number*int(unsafe.Sizeof(readingRow{}))]))
}

// Reading returns the values of a name in the calling process, whose pid that is. A long name is cut. When there is
// no room, the values are the process's alone and nobody reads them. In a process one goroutine may call it at a time.
func (t *Tallies) Reading(name string, pid int) *Reading {
	name = name[:min(len(name), readingName)]
	for number := range readingRows {
		if row := t.reading(number); row.pid.Load() == uint32(pid) && row.text() == name {
			return &row.values
		}
	}
	for number := range readingRows {
		row := t.reading(number)
		if !row.pid.CompareAndSwap(0, uint32(pid)) {
			continue
		}
		for i := range row.values {
			row.values[i].Store(0)
		}
		copy(row.name[:], name)
		row.size.Store(uint32(len(name)))
		return &row.values
	}
	return new(Reading)
}

func (r *readingRow) text() string { return string(r.name[:min(r.size.Load(), readingName)]) }

// Readings calls with for the values of each name that begins with prefix, once for each process; what follows it is passed
// on. Values of processes that live no more are dropped: only one process may call it at a time.
func (t *Tallies) Readings(prefix string, lives func(pid int) bool, with func(name string, values [ReadingValues]int64)) {
	for number := range readingRows {
		row := t.reading(number)
		pid := row.pid.Load()
		if pid == 0 {
			continue
		}
		if !lives(int(pid)) {
			row.size.Store(0)
			row.pid.Store(0)
			continue
		}
		name, is := strings.CutPrefix(row.text(), prefix)
		if !is {
			continue
		}
		var values [ReadingValues]int64
		for i := range values {
			values[i] = row.values[i].Load()
		}
		with(name, values)
	}
}
