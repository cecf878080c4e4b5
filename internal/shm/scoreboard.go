// Package shm is the memory that the master and its workers share.
package shm

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// States of a core.
const (
	Absent = iota // no process behind it
	Idle
	Busy
)

// Core is one core's line of the scoreboard; internal/layout writes it down for Python. Only the worker that owns it
// writes (but for paused, and what the master clears when the worker has ended); everybody may read. Times are nanoseconds of the monotonic clock, sizes bytes.
type Core struct {
	State        atomic.Uint32
	requestSize  atomic.Uint32
	Since        atomic.Int64 // when the current request began
	Deadline     atomic.Int64 // when harakiri is due; 0: never
	UserDeadline atomic.Int64 // uwsgi.set_user_harakiri
	Requests     atomic.Uint64
	Exceptions   atomic.Uint64
	Sent         atomic.Uint64
	Micros       atomic.Uint64 // time spent in requests
	WriteErrors  atomic.Uint64
	ReadErrors   atomic.Uint64
	Static       atomic.Uint64 // requests that were answered without the application
	Suspended    atomic.Uint32 // 1: the core has stopped accepting because of a pause
	paused       atomic.Uint32 // written by the master, of a worker's first core only
	PID          atomic.Uint32 // of the process behind the core; 0: none
	_            [4]byte
	Spooled      atomic.Int64 // request bodies in files, of a worker's first core only
	_            [128 - 8 - 10*8 - 8 - 4 - 12]byte
	request      [128]byte // "ADDR - METHOD URI", cut to fit
}

// SetRequest notes what the core is busy with, to be shown when it takes long.
func (c *Core) SetRequest(addr, method, uri []byte) {
	n := copy(c.request[:], addr)
	n += copy(c.request[n:], " - ")
	n += copy(c.request[n:], method)
	n += copy(c.request[n:], " ")
	n += copy(c.request[n:], uri)
	c.requestSize.Store(uint32(n))
}

// Request is what SetRequest noted. A reader may see it torn while it changes.
func (c *Core) Request() string {
	return string(c.request[:min(int(c.requestSize.Load()), len(c.request))])
}

// Board is one generation's scoreboard: a line for each core of each worker.
type Board struct {
	file  *os.File
	mem   []byte
	cores int
}

const coreSize = 256

var _ [coreSize]byte = [unsafe.Sizeof(Core{})]byte{}

// NewBoard makes a scoreboard for workers × cores in a memfd. The caller closes it.
func NewBoard(workers, cores int) (*Board, error) {
	file, err := newFile("envoxyd-scoreboard", workers*cores*coreSize)
	if err != nil {
		return nil, err
	}
	return open(file, cores)
}

// OpenBoard maps the scoreboard that was inherited as fd.
func OpenBoard(fd, cores int) (*Board, error) {
	return open(os.NewFile(uintptr(fd), "scoreboard"), cores)
}

func open(file *os.File, cores int) (*Board, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("scoreboard: %w", err)
	}
	mem, err := mapFile(int(file.Fd()), int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("scoreboard: %w", err)
	}
	return &Board{file: file, mem: mem, cores: cores}, nil
}

// File is the memfd, to be inherited.
func (b *Board) File() *os.File { return b.file }

// Core is the line of a worker's (from 1) core (from 0).
func (b *Board) Core(worker, core int) *Core {
	return (*Core)(unsafe.Pointer(&b.mem[((worker-1)*b.cores+core)*coreSize]))
}

// Workers and Cores are the board's dimensions.
func (b *Board) Workers() int { return len(b.mem) / coreSize / b.cores }

// Cores is the number of cores of each worker.
func (b *Board) Cores() int { return b.cores }

// Paused tells whether the worker is to accept no connections.
func (b *Board) Paused(worker int) bool { return b.Core(worker, 0).paused.Load() != 0 }

// Pause says whether the worker is to accept connections; a signal makes it check. Only the master may call it.
func (b *Board) Pause(worker int, on bool) {
	value := uint32(0)
	if on {
		value = 1
	}
	b.Core(worker, 0).paused.Store(value)
}

// Suspended tells whether all of the worker's cores have stopped accepting.
func (b *Board) Suspended(worker int) bool {
	for core := range b.cores {
		if b.Core(worker, core).Suspended.Load() == 0 {
			return false
		}
	}
	return true
}

// IdleElsewhere tells whether a core other than the given one has nothing to do.
func (b *Board) IdleElsewhere(except *Core) bool {
	for at := 0; at < len(b.mem); at += coreSize {
		core := (*Core)(unsafe.Pointer(&b.mem[at]))
		if core != except && core.State.Load() == Idle {
			return true
		}
	}
	return false
}

// Close unmaps the board and closes its file.
func (b *Board) Close() error {
	if err := unix.Munmap(b.mem); err != nil {
		return fmt.Errorf("scoreboard: %w", err)
	}
	return b.file.Close()
}
