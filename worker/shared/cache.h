/* A cache: keys and values of bytes in memory that processes share. */
#pragma once
#include <stddef.h>

#include "lock.h"

struct cache {
    struct cache_geometry geometry;
    struct cache_head *head;
    uint32_t *chains;
    struct cache_item *items;
    char *keys;
    uint64_t *bitmap;
    char *blocks;
    uint64_t key_stride, block_stride;

    /* How this process uses it. */
    const char *name;
    int64_t math_initial;
    uint32_t sweep_seconds;
    int purge_lru, lazy_expire, no_expire, clear_on_full, last_modified, tell_full, tell_freed;
};

enum cache_result { CACHE_DONE, CACHE_ABSENT, CACHE_THERE, CACHE_REFUSED, CACHE_FULL };
enum cache_math { CACHE_INC, CACHE_DEC, CACHE_MUL, CACHE_DIV };

/* The memory that it takes; 0: no memory is that large. */
uint64_t cache_memory(const struct cache_geometry *geometry);

/* Uses memory: makes a cache in it where there is none, and repairs one of another instance's. 0, or -1: it is another cache. */
int cache_attach(struct cache *cache, const struct cache_geometry *geometry, void *memory, uint64_t instance);

/* What a value is given to. It is called again when the value has changed meanwhile: only the last one counts.
   expires: by the clock of the system, in milliseconds; 0: never. */
typedef void (*take_function)(void *to, const char *value, size_t size, uint64_t expires);

/* Reads without the lock; who writes is waited for a moment. CACHE_DONE, CACHE_ABSENT, or CACHE_FULL: it takes the lock to tell.
   take: NULL, or the read counts as a hit or a miss. */
enum cache_result cache_read(struct cache *cache, const char *key, size_t key_size, take_function take, void *to);

/* Whoever has the lock says so to those who read without it, and when it is done. */
void cache_begin(struct cache *cache);
void cache_end(struct cache *cache);

/* A repair_function for the cache's lock, which whoever calls the functions below has. */
void cache_repair(void *cache);

/* The item under a key; 0: there is none. It counts as a hit or a miss. */
uint32_t cache_get(struct cache *cache, const char *key, size_t key_size);
const char *cache_value(const struct cache *cache, uint32_t item, size_t *size);
uint64_t cache_expires(const struct cache *cache, uint32_t item);
int cache_exists(struct cache *cache, const char *key, size_t key_size);

/* Stores a value: where there is one already only if replace. Seconds: 0 is for ever, less than that long ago. */
enum cache_result cache_store(struct cache *cache, const char *key, size_t key_size, const char *value, size_t size, int64_t seconds,
                              int replace);
enum cache_result cache_delete(struct cache *cache, const char *key, size_t key_size);
enum cache_result cache_calculate(struct cache *cache, const char *key, size_t key_size, enum cache_math math, int64_t by,
                                  int64_t seconds);
void cache_clear(struct cache *cache);

/* The item behind another one, 0 for the first, in no particular order; 0: that was the last one. */
uint32_t cache_next(const struct cache *cache, uint32_t item);
const char *cache_key(const struct cache *cache, uint32_t item, size_t *size);
