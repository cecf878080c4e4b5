/* The insides of a cache: items, their blocks, chains and lists. */
#pragma once
#include <string.h>
#include <time.h>

#include "cache.h"

enum state { ITEM_FREE, ITEM_WRITING, ITEM_WHOLE };
enum { NONE = 0 }; /* no item */

static const uint64_t NO_ROOM = UINT64_MAX;

static inline void set_state(struct cache_item *item, enum state state)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a killed process has done all that stands before, and nothing behind */
    __atomic_store_n(&item->state, state, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Eight bytes at a time; the end is mixed as a number that knows its length. */
static inline uint32_t hash_of(const char *key, size_t size)
{
    const uint64_t odd = 0x9E3779B97F4A7C15ULL;
    uint64_t hash = size * odd, part;
    for (; size >= 8; key += 8, size -= 8) {
        memcpy(&part, key, 8);
        hash = (hash ^ part) * odd;
        hash ^= hash >> 32;
    }
    part = 0;
    memcpy(&part, key, size);
    hash = (hash ^ part) * odd;
    hash ^= hash >> 29;
    hash *= odd;
    return (uint32_t)(hash >> 32);
}

static inline char *key_at(const struct cache *c, uint32_t item) { return c->keys + item * c->key_stride; }
static inline char *block_at(const struct cache *c, uint64_t block) { return c->blocks + block * c->block_stride; }
static inline uint64_t blocks_for(const struct cache *c, uint64_t size) { return (size + c->geometry.block_size - 1) / c->geometry.block_size; }
static inline uint32_t *chain_of(const struct cache *c, uint32_t hash) { return &c->chains[hash % c->geometry.hash_size]; }

static inline int expired(const struct cache *c, const struct cache_item *item, uint64_t now)
{
    return item->expires && item->expires <= now && !c->no_expire;
}

static inline void touch_modified(struct cache *c)
{
    if (c->last_modified)
        c->head->last_modified = now_ms() / 1000;
}

static inline int block_taken(const struct cache *c, uint64_t block) { return c->bitmap[block / 64] >> (block % 64) & 1; }

/* Blocks in a row for an item, or NO_ROOM. Without a bitmap each item has one of its own. */
uint64_t blocks_take(struct cache *c, uint32_t item, uint64_t count);
void blocks_give(struct cache *c, uint64_t first, uint64_t count);

void item_link_newest(struct cache *c, uint32_t item);
void item_unlink_used(struct cache *c, uint32_t item);

/* Makes a whole item one that is found, and one that is there no more. */
void item_link(struct cache *c, uint32_t item);
void item_drop(struct cache *c, uint32_t item);

uint32_t item_find(const struct cache *c, const char *key, size_t size, uint32_t hash);

/* The item that is there and has not expired. */
uint32_t item_find_valid(struct cache *c, const char *key, size_t size, uint32_t hash);
