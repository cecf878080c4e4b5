// Package sharedmem uses the caches that the processes of an instance share, without Python: by the functions of
// worker/shared, which know what is in the memory. They are called where _envoxyd_shared has them, because the mappings,
// too, are that library's.
package sharedmem

/*
#cgo CFLAGS: -I${SRCDIR}/../shared
#include "caches.h"

#cgo noescape shared_copy
#cgo nocallback shared_copy
static enum cache_result shared_copy(const struct cache_functions *f, const char *name, size_t name_size, const char *key,
                                     size_t key_size, char *room, size_t room_size, size_t *size, uint64_t *expires)
{
    struct cache_place place = {name, key, name_size, key_size};
    struct cache_copy copy = {room, room_size, 0, 0};
    enum cache_result result = f->copy(&place, &copy);
    *size = copy.size;
    *expires = copy.expires;
    return result;
}

#cgo noescape shared_add
#cgo nocallback shared_add
static enum cache_result shared_add(const struct cache_functions *f, const char *name, size_t name_size, const char *key,
                                    size_t key_size, const char *value, size_t size, int64_t seconds, struct cache_news *news)
{
    struct cache_place place = {name, key, name_size, key_size};
    return f->add(&place, value, size, seconds, news);
}

#cgo noescape shared_calculate
#cgo nocallback shared_calculate
static enum cache_result shared_calculate(const struct cache_functions *f, const char *name, size_t name_size, const char *key,
                                          size_t key_size, int math, int64_t by, int64_t seconds, struct cache_news *news)
{
    struct cache_place place = {name, key, name_size, key_size};
    return f->calculate(&place, (enum cache_math)math, by, seconds, news);
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Caches are those that the process has attached. A nil pointer has none.
type Caches struct{ functions *C.struct_cache_functions }

// At returns the caches behind the table of functions at an address: that of the capsule _envoxyd_shared.without_gil.
func At(table unsafe.Pointer) (*Caches, error) {
	functions := (*C.struct_cache_functions)(table)
	if functions.size != C.sizeof_struct_cache_functions {
		return nil, fmt.Errorf("the libraries _envoxyd and _envoxyd_shared are of different versions: the table of functions has %d bytes, not %d",
			functions.size, C.sizeof_struct_cache_functions)
	}
	return &Caches{functions}, nil
}

// Math is what is done with an integer.
type Math int

// Operations on integers of caches.
const (
	Add      Math = C.CACHE_INC
	Subtract Math = C.CACHE_DEC
	Multiply Math = C.CACHE_MUL
	Divide   Math = C.CACHE_DIV
)

// News is what is to be told of a cache after an operation.
type News struct {
	Freed uint64 // items that have expired
	Full  bool   // an item could not be stored
}

func newsOf(news *C.struct_cache_news) News { return News{uint64(news.freed), news.full != 0} }

// firstRoom is how much room a value gets at first, in bytes: that of a block, unless the cache says otherwise.
const firstRoom = 64 << 10

// Get copies a value into room, or into a larger slice that it makes; cache "" is the first one. expires is in unix
// milliseconds, 0 for never.
func (c *Caches) Get(cache string, key, room []byte) (value []byte, expires uint64, found bool) {
	if c == nil {
		return room, 0, false
	}
	for {
		if cap(room) == 0 {
			room = make([]byte, 0, firstRoom)
		}
		var size C.size_t
		var until C.uint64_t
		result := C.shared_copy(c.functions, chars(cache), C.size_t(len(cache)), bytesOf(key), C.size_t(len(key)),
			bytesOf(room), C.size_t(cap(room)), &size, &until)
		switch {
		case result != C.CACHE_DONE:
			return room, 0, false
		case int(size) <= cap(room):
			return room[:size], uint64(until), true
		}
		room = make([]byte, 0, int(size))
	}
}

// Add stores a value for that many seconds, 0 for ever, unless there is one. It reports whether it has.
func (c *Caches) Add(cache string, key, value []byte, seconds int64) (bool, News) {
	if c == nil {
		return false, News{}
	}
	var news C.struct_cache_news
	result := C.shared_add(c.functions, chars(cache), C.size_t(len(cache)), bytesOf(key), C.size_t(len(key)),
		bytesOf(value), C.size_t(len(value)), C.int64_t(seconds), &news)
	return result == C.CACHE_DONE, newsOf(&news)
}

// Calculate changes an integer, or makes one that expires after that many seconds. It reports whether it has.
func (c *Caches) Calculate(cache string, key []byte, math Math, by, seconds int64) (bool, News) {
	if c == nil {
		return false, News{}
	}
	var news C.struct_cache_news
	result := C.shared_calculate(c.functions, chars(cache), C.size_t(len(cache)), bytesOf(key), C.size_t(len(key)),
		C.int(math), C.int64_t(by), C.int64_t(seconds), &news)
	return result == C.CACHE_DONE, newsOf(&news)
}

// chars is the memory of a text, for the time of a call. Of an empty one C reads nothing.
func chars(text string) *C.char   { return (*C.char)(unsafe.Pointer(unsafe.StringData(text))) }
func bytesOf(text []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(text))) }
