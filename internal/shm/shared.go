package shm

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the memory of the `uwsgi` module looks like at its beginning. The C in worker/shared owns all of it;
// internal/layout writes these declarations down for it. The master only reads.

// Lock is a mutex of the C library's that the death of its holder frees.
type Lock struct {
	Mutex  [6]uint64
	Made   atomic.Uint32 // the mutex is there
	Holder atomic.Uint32 // process; 0: nobody. One that was killed stays
	Thread atomic.Uint32
	_      [4]byte
}

// Head begins all memory. In that of locks AreaHeads come at HeadSize, and from LocksOffset on the application's locks.
type Head struct {
	Magic    atomic.Uint64
	Instance atomic.Uint64 // stores that hold another number are of an instance that has ended
}

// AreaHead is what a shared area has beside its bytes.
type AreaHead struct {
	Updates    atomic.Uint32 // a futex
	Waiters    atomic.Uint32
	Arithmetic Lock              // of integers that are not aligned
	Readers    [AreaReaders]Lock // a reader has one of them, a writer all
}

// Sizes and places.
const (
	HeadSize    = 4096 // of the head of each cache and queue
	MaxAreas    = 256
	AreaReaders = 16 // that can hold an area's lock at a time
	AreaStride  = 2048
	LocksOffset = HeadSize + MaxAreas*AreaStride
	LockSize    = 64

	CacheReadCounters = 8
)

// Magic numbers, stored last when memory is made.
const (
	LocksMagic = 0x31736b636f4c7665 // "evLocks1"
	CacheMagic = 0x3165686361437665 // "evCache1"
	QueueMagic = 0x3165756575517665 // "evQueue1"
)

// CacheGeometry is what a cache is made of. Memory that was made for another one cannot be used.
type CacheGeometry struct {
	Items     atomic.Uint64 // one of them is never used, as in uWSGI
	Blocks    atomic.Uint64
	BlockSize atomic.Uint64
	KeySize   atomic.Uint64
	HashSize  atomic.Uint64
	Bitmap    atomic.Uint64 // not 0: a value may have several blocks
}

// CacheHead begins the memory of a cache.
type CacheHead struct {
	Head
	CacheGeometry
	Lock         Lock
	Sequence     atomic.Uint64 // odd while somebody has the lock
	Count        atomic.Uint64 // items that are there
	Full         atomic.Uint64 // items that found no room
	LastModified atomic.Uint64 // unix seconds, with lastmod
	SweptAt      atomic.Uint64 // when the last look for expired items ended, in seconds
	ScannedAt    atomic.Uint64 // when there was the last such look at all items, for room
	Freed        atomic.Uint64 // items that expired since that was last told
	Hint         atomic.Uint64 // where the search for free blocks begins
	Used         atomic.Uint32 // the highest item that was ever taken
	Free         atomic.Uint32 // first of the list of free items
	Newest       atomic.Uint32 // ends of the list of items by their use
	Oldest       atomic.Uint32
	Cursor       atomic.Uint32 // of the look for expired items
	_            [44]byte
	Reads        [CacheReadCounters]CacheReads // threads take one of them by their number
}

// CacheReads counts in a cache line of its own: reading takes no lock.
type CacheReads struct {
	Hits   atomic.Uint64
	Misses atomic.Uint64
	_      [48]byte
}

// Hits is how many reads have found something.
func (h *CacheHead) Hits() (n uint64) {
	for i := range h.Reads {
		n += h.Reads[i].Hits.Load()
	}
	return n
}

// Misses is how many reads have found nothing.
func (h *CacheHead) Misses() (n uint64) {
	for i := range h.Reads {
		n += h.Reads[i].Misses.Load()
	}
	return n
}

// CacheItem is an item of a cache. Its key and its blocks are elsewhere.
type CacheItem struct {
	State      atomic.Uint32
	Hash       atomic.Uint32
	Next       atomic.Uint32 // in its hash chain, or in the list of free items
	KeySize    atomic.Uint32
	Newer      atomic.Uint32
	Older      atomic.Uint32
	FirstBlock atomic.Uint64
	Size       atomic.Uint64 // of the value
	Expires    atomic.Uint64 // unix milliseconds; 0: never
	_          [16]byte
}

// QueueHead begins the memory of a queue.
type QueueHead struct {
	Head
	Slots, BlockSize atomic.Uint64 // geometry
	Lock             Lock
	Position         atomic.Uint64
	PullPosition     atomic.Uint64
	OperationSlot    atomic.Uint64
	Operation        atomic.Uint32 // in hand
	_                [4]byte
}

var (
	_ [LockSize]byte = [unsafe.Sizeof(Lock{})]byte{}
	_ [64]byte       = [unsafe.Sizeof(CacheItem{})]byte{}
)

// ErrNoHead is returned for memory that nobody has made yet.
var ErrNoHead = errors.New("shm: the memory is not made yet")

// ReadCacheHead copies the head of the cache behind a descriptor. It maps nothing: somebody may cut a file short.
func ReadCacheHead(fd int) (*CacheHead, error) {
	head := new(CacheHead)
	if err := readInto(fd, 0, unsafe.Slice((*byte)(unsafe.Pointer(head)), unsafe.Sizeof(*head))); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return head, nil
}

// ReadQueueHead copies the head of the queue behind a descriptor.
func ReadQueueHead(fd int) (*QueueHead, error) {
	head := new(QueueHead)
	if err := readInto(fd, 0, unsafe.Slice((*byte)(unsafe.Pointer(head)), unsafe.Sizeof(*head))); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return head, nil
}

// LockHolder is the process that holds one of the application's locks; 0: none does, or it was killed.
func LockHolder(fd, number int) int {
	lock := new(Lock)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(lock)), unsafe.Sizeof(*lock))
	if err := readInto(fd, LocksOffset+int64(number)*LockSize, memory); err != nil {
		return 0
	}
	return lock.HeldBy()
}

// HeldBy is the process that holds the lock; 0: none does, or it was killed.
func (l *Lock) HeldBy() int {
	pid := int(l.Holder.Load())
	if pid != 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return 0
	}
	return pid
}

func readInto(fd int, offset int64, memory []byte) error {
	n, err := unix.Pread(fd, memory, offset)
	if err != nil {
		return fmt.Errorf("pread: %w", err)
	}
	if n < len(memory) {
		return ErrNoHead
	}
	return nil
}
