package shm

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"
)

// States of an item; any other number is one that is free.
const itemWhole = 2

const (
	cacheTries   = 20                     // while somebody writes
	cachePause   = 100 * time.Microsecond // between two of them
	longestChain = 1000
)

// CacheValue returns what a cache has under a key; false: nothing. It takes no lock and maps nothing, so that it can neither hold
// up anybody nor be hurt by memory that is cut short; a value longer than most is not there. Reads are not counted.
func CacheValue(fd int, key string, most int) (value []byte, found bool, err error) {
	if key == "" {
		return nil, false, nil
	}
	for try := range cacheTries {
		if try > 0 {
			time.Sleep(cachePause)
		}
		head, err := ReadCacheHead(fd)
		if err != nil {
			return nil, false, err
		}
		if head.Magic.Load() != CacheMagic {
			return nil, false, ErrNoHead
		}
		r := cacheReader{fd: fd, head: head}
		// Whoever had the lock when it was killed has left the number odd, until the next one takes the lock.
		last := try == cacheTries-1
		if head.Sequence.Load()&1 != 0 && !last {
			continue
		}
		value, found, err = r.find(key, most)
		if err != nil {
			return nil, false, err
		}
		after, err := ReadCacheHead(fd)
		if err != nil {
			return nil, false, err
		}
		if last || after.Sequence.Load() == head.Sequence.Load() {
			return value, found, nil
		}
	}
	return nil, false, nil // not reached
}

// cacheReader reads one state of a cache. What it reads may be half written: nothing is believed but what keeps within bounds.
type cacheReader struct {
	fd   int
	head *CacheHead
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// places are where chains, items, keys and blocks begin: see lay_out in worker/shared/cache_items.c.
func (r *cacheReader) places() (chains, items, keys, blocks uint64) {
	h := r.head
	chains = HeadSize
	items = roundUp(chains+h.HashSize.Load()*4, 64)
	keys = items + h.Items.Load()*uint64(unsafe.Sizeof(CacheItem{}))
	bitmap := keys + h.Items.Load()*roundUp(h.KeySize.Load(), 8)
	size := uint64(0)
	if h.Bitmap.Load() != 0 {
		size = roundUp(h.Blocks.Load(), 64) / 8
	}
	return chains, items, keys, roundUp(bitmap+size, HeadSize)
}

func (r *cacheReader) find(key string, most int) (value []byte, found bool, err error) {
	h := r.head
	if h.HashSize.Load() == 0 || uint64(len(key)) > h.KeySize.Load() {
		return nil, false, nil
	}
	chains, items, keys, blocks := r.places()
	hash := cacheHash(key)
	var number [4]byte
	if err := readInto(r.fd, int64(chains+uint64(hash)%h.HashSize.Load()*4), number[:]); err != nil {
		return nil, false, fmt.Errorf("cache: %w", err)
	}
	i := uint64(binary.NativeEndian.Uint32(number[:]))
	for range longestChain {
		if i == 0 || i >= h.Items.Load() {
			break
		}
		item := new(CacheItem)
		size := unsafe.Sizeof(*item)
		if err := readInto(r.fd, int64(items+i*uint64(size)), unsafe.Slice((*byte)(unsafe.Pointer(item)), size)); err != nil {
			return nil, false, fmt.Errorf("cache: %w", err)
		}
		if item.Hash.Load() == hash && item.KeySize.Load() == uint32(len(key)) && item.State.Load() == itemWhole {
			name := make([]byte, len(key))
			if err := readInto(r.fd, int64(keys+i*roundUp(h.KeySize.Load(), 8)), name); err != nil {
				return nil, false, fmt.Errorf("cache: %w", err)
			}
			if string(name) == key {
				return r.value(item, blocks, most)
			}
		}
		i = uint64(item.Next.Load())
	}
	return nil, false, nil
}

func (r *cacheReader) value(item *CacheItem, blocks uint64, most int) ([]byte, bool, error) {
	size, first, stride := item.Size.Load(), item.FirstBlock.Load(), roundUp(r.head.BlockSize.Load(), 8)
	if expires := item.Expires.Load(); expires != 0 && expires <= uint64(time.Now().UnixMilli()) {
		return nil, false, nil
	}
	if size == 0 || size > uint64(most) || first >= r.head.Blocks.Load() {
		return nil, false, nil
	}
	value := make([]byte, size)
	if err := readInto(r.fd, int64(blocks+first*stride), value); err != nil {
		return nil, false, fmt.Errorf("cache: %w", err)
	}
	return value, true, nil
}

// cacheHash is hash_of in worker/shared/cache_items.h.
func cacheHash(key string) uint32 {
	const odd = 0x9E3779B97F4A7C15
	b := []byte(key)
	hash := uint64(len(b)) * odd
	for ; len(b) >= 8; b = b[8:] {
		hash = (hash ^ binary.NativeEndian.Uint64(b)) * odd
		hash ^= hash >> 32
	}
	var part [8]byte
	copy(part[:], b)
	hash = (hash ^ binary.NativeEndian.Uint64(part[:])) * odd
	hash ^= hash >> 29
	hash *= odd
	return uint32(hash >> 32)
}
