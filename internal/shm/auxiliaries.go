package shm

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/latency"
)

// Auxiliary is the line of a process beside the workers: a mule or a spooler. The process writes it, the master reads it;
// internal/layout writes it down for Python, which stores each number at once.
type Auxiliary struct {
	PID      atomic.Int64 // 0: no process
	State    atomic.Int64 // Idle or Busy
	Since    atomic.Int64 // when it became so, in nanoseconds of the monotonic clock
	Deadline atomic.Int64 // when harakiri is due; 0: never
	Tasks    atomic.Int64 // messages, signals and jobs that processes in this place have finished
	_        [24]byte
}

// AuxiliaryTimesSize is what a histogram takes, in bytes. Behind the lines of all processes is one for each, in the same
// order: how long what they had in hand took.
const AuxiliaryTimesSize = int(unsafe.Sizeof(latency.Shared{}))

const auxiliarySize = 64

var _ [auxiliarySize]byte = [unsafe.Sizeof(Auxiliary{})]byte{}

// Auxiliaries are the lines of all such processes, numbered from 1.
type Auxiliaries struct {
	file *os.File
	mem  []byte
}

// NewAuxiliaries makes so many lines in a memfd. The caller closes it.
func NewAuxiliaries(count int) (*Auxiliaries, error) {
	size := max(count, 1) * (auxiliarySize + AuxiliaryTimesSize)
	file, err := newFile("envoxyd-auxiliaries", size)
	if err != nil {
		return nil, err
	}
	mem, err := mapFile(int(file.Fd()), size)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("auxiliaries: %w", err)
	}
	return &Auxiliaries{file, mem}, nil
}

// File is the memfd, to be inherited.
func (a *Auxiliaries) File() *os.File { return a.file }

// Line is the line with that number, from 1.
func (a *Auxiliaries) Line(number int) *Auxiliary {
	return (*Auxiliary)(unsafe.Pointer(&a.mem[(number-1)*auxiliarySize]))
}

// Times is how long what the process with that number had in hand took. The process writes it.
func (a *Auxiliaries) Times(number int) *latency.Shared {
	lines := len(a.mem) / (auxiliarySize + AuxiliaryTimesSize)
	return (*latency.Shared)(unsafe.Pointer(&a.mem[lines*auxiliarySize+(number-1)*AuxiliaryTimesSize]))
}

// Close unmaps the lines and closes their file.
func (a *Auxiliaries) Close() error {
	if err := unix.Munmap(a.mem); err != nil {
		return fmt.Errorf("auxiliaries: %w", err)
	}
	return a.file.Close()
}
