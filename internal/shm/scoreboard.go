// Package shm is the memory that the master and its workers share.
package shm

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
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
	Worker       atomic.Uint32 // whose row it is, in the first core's line: written by the master; 0: nobody's
	Spooled      atomic.Int64  // request bodies in files, of a worker's first core only
	Calls        atomic.Uint32 // to services, in flight in the process; of a worker's first core only
	Handling     atomic.Uint32 // one more than the uwsgi signal whose handler runs; 0: none does
	Spawned      atomic.Int64  // when the process came, in unix seconds; written by the master, of a worker's first core only
	Starts       atomic.Uint64 // processes that the row has had; likewise
	Before       atomic.Uint64 // requests of those before the one that is there
	Signals      atomic.Uint64 // uwsgi signals that were handled
	Routed       atomic.Uint64 // requests that rules of the internal routing have answered
	_            [192 - 8 - 10*8 - 6*4 - 6*8]byte
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

// Board is one generation's scoreboard: rows, from 1, each with a line and a Timing for each core of a process.
// Worker n's row is n. Where a worker may have two processes at a time there is a spare row, for
// either of them, and behind it a row for each worker with what its processes in other rows have done.
type Board struct {
	file    *os.File
	mem     []byte
	cores   int
	workers int
}

// CoreSize is what one core takes of a board, in bytes.
const CoreSize = 320

var _ [CoreSize]byte = [unsafe.Sizeof(Core{})]byte{}

// NewBoard makes a scoreboard for workers × cores in a memfd. The caller closes it.
func NewBoard(workers, cores int) (*Board, error) { return newBoard(workers, workers, cores) }

// NewBoardWithSpare is NewBoard with a spare row.
func NewBoardWithSpare(workers, cores int) (*Board, error) {
	b, err := newBoard(workers, 2*workers+1, cores)
	if err != nil {
		return nil, err
	}
	for worker := 1; worker <= workers; worker++ {
		b.Assign(b.Past(worker), worker)
	}
	return b, nil
}

func newBoard(workers, rows, cores int) (*Board, error) {
	file, err := newFile("envoxyd-scoreboard", rows*cores*(CoreSize+TimingSize))
	if err != nil {
		return nil, err
	}
	b, err := open(file, cores)
	if err != nil {
		return nil, err
	}
	b.workers = workers
	for worker := 1; worker <= workers; worker++ {
		b.Assign(worker, worker)
	}
	return b, nil
}

// Spare is the spare row; 0: there is none. For the board's maker only.
func (b *Board) Spare() int {
	if b.Rows() == b.workers {
		return 0
	}
	return b.workers + 1
}

// Past is the row with what the worker's processes in other rows have done; 0: there is none. For the board's maker only.
func (b *Board) Past(worker int) int {
	if spare := b.Spare(); spare != 0 {
		return spare + worker
	}
	return 0
}

// Assign says whose row it is; 0: nobody's. Only the master may call it.
func (b *Board) Assign(row, worker int) { b.Core(row, 0).Worker.Store(uint32(worker)) }

// Adopted notes that a process has come for a row. Only the master may call it.
func (b *Board) Adopted(row, pid int, now time.Time) {
	first := b.Core(row, 0)
	first.PID.Store(uint32(pid))
	first.Spawned.Store(now.Unix())
	first.Starts.Add(1)
	for number := range b.cores { // the process does so too, when it comes to it
		core := b.Core(row, number)
		core.Before.Store(core.Requests.Load())
	}
}

// Fold adds what a row has counted to another one and forgets it. No process may write to either.
func (b *Board) Fold(from, to int) {
	for number := range b.cores {
		source, target := b.Core(from, number).counters(), b.Core(to, number).counters()
		for i, counter := range source {
			target[i].Add(counter.Swap(0))
		}
		b.Timing(from, number).moveTo(b.Timing(to, number))
	}
}

// counters are what a core counts.
func (c *Core) counters() [10]*atomic.Uint64 {
	return [...]*atomic.Uint64{&c.Requests, &c.Exceptions, &c.Sent, &c.Micros, &c.WriteErrors, &c.ReadErrors, &c.Static, &c.Starts, &c.Signals, &c.Routed}
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

// Core is the line of a core (from 0) in a row (from 1).
func (b *Board) Core(row, core int) *Core {
	return (*Core)(unsafe.Pointer(&b.mem[((row-1)*b.cores+core)*CoreSize]))
}

// Rows is the number of rows.
func (b *Board) Rows() int { return b.lines() / b.cores }

// Cores is the number of cores in each row.
func (b *Board) Cores() int { return b.cores }

// Paused tells whether the process of a row is to accept no connections.
func (b *Board) Paused(row int) bool { return b.Core(row, 0).paused.Load() != 0 }

// Pause says whether the process of a row is to accept connections; a signal makes it check. Only the master may call it.
func (b *Board) Pause(row int, on bool) {
	value := uint32(0)
	if on {
		value = 1
	}
	b.Core(row, 0).paused.Store(value)
}

// Suspended tells whether all cores of a row have stopped accepting.
func (b *Board) Suspended(row int) bool {
	for core := range b.cores {
		if b.Core(row, core).Suspended.Load() == 0 {
			return false
		}
	}
	return true
}

// IdleElsewhere tells whether a core other than the given one has nothing to do.
func (b *Board) IdleElsewhere(except *Core) bool {
	for line := range b.lines() {
		core := (*Core)(unsafe.Pointer(&b.mem[line*CoreSize]))
		if core != except && core.State.Load() == Idle {
			return true
		}
	}
	return false
}

// IdleInOthers tells whether the process of another row has nothing to do.
func (b *Board) IdleInOthers(row int) bool {
	for other := 1; other <= b.Rows(); other++ {
		if other != row && b.idle(other) {
			return true
		}
	}
	return false
}

// idle tells whether a process is there in the row, and none of its cores is busy.
func (b *Board) idle(row int) bool {
	some := false
	for core := range b.cores {
		switch b.Core(row, core).State.Load() {
		case Busy:
			return false
		case Idle:
			some = true
		}
	}
	return some
}

// CloseFile closes the file alone: the board can be read on, and not be handed over.
func (b *Board) CloseFile() error { return b.file.Close() }

// Close unmaps the board and closes its file.
func (b *Board) Close() error {
	if err := unix.Munmap(b.mem); err != nil {
		return fmt.Errorf("scoreboard: %w", err)
	}
	return b.file.Close()
}
