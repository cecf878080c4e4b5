/* What C and Go share: the memory of the uwsgi module.

   Written by internal/layout from the declarations in Go. Do not edit: `make docs` writes it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define HEAD_SIZE 0x1000ULL
#define MAX_AREAS 0x100ULL
#define AREA_READERS 0x10ULL
#define AREA_STRIDE 0x800ULL
#define LOCKS_OFFSET 0x81000ULL
#define CACHE_READ_COUNTERS 0x8ULL
#define LOCKS_MAGIC 0x31736b636f4c7665ULL
#define CACHE_MAGIC 0x3165686361437665ULL
#define QUEUE_MAGIC 0x3165756575517665ULL

struct lock {
    uint64_t mutex[6];
    uint32_t made;
    uint32_t holder;
    uint32_t thread;
    uint8_t unused_4[4];
};
_Static_assert(offsetof(struct lock, mutex) == 0, "as in Go");
_Static_assert(offsetof(struct lock, made) == 48, "as in Go");
_Static_assert(offsetof(struct lock, holder) == 52, "as in Go");
_Static_assert(offsetof(struct lock, thread) == 56, "as in Go");
_Static_assert(offsetof(struct lock, unused_4) == 60, "as in Go");
_Static_assert(sizeof(struct lock) == 64, "as in Go");

struct head {
    uint64_t magic;
    uint64_t instance;
};
_Static_assert(offsetof(struct head, magic) == 0, "as in Go");
_Static_assert(offsetof(struct head, instance) == 8, "as in Go");
_Static_assert(sizeof(struct head) == 16, "as in Go");

struct area_head {
    uint32_t updates;
    uint32_t waiters;
    struct lock arithmetic;
    struct lock readers[16];
};
_Static_assert(offsetof(struct area_head, updates) == 0, "as in Go");
_Static_assert(offsetof(struct area_head, waiters) == 4, "as in Go");
_Static_assert(offsetof(struct area_head, arithmetic) == 8, "as in Go");
_Static_assert(offsetof(struct area_head, readers) == 72, "as in Go");
_Static_assert(sizeof(struct area_head) == 1096, "as in Go");

struct cache_geometry {
    uint64_t items;
    uint64_t blocks;
    uint64_t block_size;
    uint64_t key_size;
    uint64_t hash_size;
    uint64_t bitmap;
};
_Static_assert(offsetof(struct cache_geometry, items) == 0, "as in Go");
_Static_assert(offsetof(struct cache_geometry, blocks) == 8, "as in Go");
_Static_assert(offsetof(struct cache_geometry, block_size) == 16, "as in Go");
_Static_assert(offsetof(struct cache_geometry, key_size) == 24, "as in Go");
_Static_assert(offsetof(struct cache_geometry, hash_size) == 32, "as in Go");
_Static_assert(offsetof(struct cache_geometry, bitmap) == 40, "as in Go");
_Static_assert(sizeof(struct cache_geometry) == 48, "as in Go");

struct cache_reads {
    uint64_t hits;
    uint64_t misses;
    uint8_t unused_2[48];
};
_Static_assert(offsetof(struct cache_reads, hits) == 0, "as in Go");
_Static_assert(offsetof(struct cache_reads, misses) == 8, "as in Go");
_Static_assert(offsetof(struct cache_reads, unused_2) == 16, "as in Go");
_Static_assert(sizeof(struct cache_reads) == 64, "as in Go");

struct cache_head {
    struct head head;
    struct cache_geometry cache_geometry;
    struct lock lock;
    uint64_t sequence;
    uint64_t count;
    uint64_t full;
    uint64_t last_modified;
    uint64_t swept_at;
    uint64_t scanned_at;
    uint64_t freed;
    uint64_t hint;
    uint32_t used;
    uint32_t free;
    uint32_t newest;
    uint32_t oldest;
    uint32_t cursor;
    uint8_t unused_16[44];
    struct cache_reads reads[8];
};
_Static_assert(offsetof(struct cache_head, head) == 0, "as in Go");
_Static_assert(offsetof(struct cache_head, cache_geometry) == 16, "as in Go");
_Static_assert(offsetof(struct cache_head, lock) == 64, "as in Go");
_Static_assert(offsetof(struct cache_head, sequence) == 128, "as in Go");
_Static_assert(offsetof(struct cache_head, count) == 136, "as in Go");
_Static_assert(offsetof(struct cache_head, full) == 144, "as in Go");
_Static_assert(offsetof(struct cache_head, last_modified) == 152, "as in Go");
_Static_assert(offsetof(struct cache_head, swept_at) == 160, "as in Go");
_Static_assert(offsetof(struct cache_head, scanned_at) == 168, "as in Go");
_Static_assert(offsetof(struct cache_head, freed) == 176, "as in Go");
_Static_assert(offsetof(struct cache_head, hint) == 184, "as in Go");
_Static_assert(offsetof(struct cache_head, used) == 192, "as in Go");
_Static_assert(offsetof(struct cache_head, free) == 196, "as in Go");
_Static_assert(offsetof(struct cache_head, newest) == 200, "as in Go");
_Static_assert(offsetof(struct cache_head, oldest) == 204, "as in Go");
_Static_assert(offsetof(struct cache_head, cursor) == 208, "as in Go");
_Static_assert(offsetof(struct cache_head, unused_16) == 212, "as in Go");
_Static_assert(offsetof(struct cache_head, reads) == 256, "as in Go");
_Static_assert(sizeof(struct cache_head) == 768, "as in Go");

struct cache_item {
    uint32_t state;
    uint32_t hash;
    uint32_t next;
    uint32_t key_size;
    uint32_t newer;
    uint32_t older;
    uint64_t first_block;
    uint64_t size;
    uint64_t expires;
    uint8_t unused_9[16];
};
_Static_assert(offsetof(struct cache_item, state) == 0, "as in Go");
_Static_assert(offsetof(struct cache_item, hash) == 4, "as in Go");
_Static_assert(offsetof(struct cache_item, next) == 8, "as in Go");
_Static_assert(offsetof(struct cache_item, key_size) == 12, "as in Go");
_Static_assert(offsetof(struct cache_item, newer) == 16, "as in Go");
_Static_assert(offsetof(struct cache_item, older) == 20, "as in Go");
_Static_assert(offsetof(struct cache_item, first_block) == 24, "as in Go");
_Static_assert(offsetof(struct cache_item, size) == 32, "as in Go");
_Static_assert(offsetof(struct cache_item, expires) == 40, "as in Go");
_Static_assert(offsetof(struct cache_item, unused_9) == 48, "as in Go");
_Static_assert(sizeof(struct cache_item) == 64, "as in Go");

struct queue_head {
    struct head head;
    uint64_t slots;
    uint64_t block_size;
    struct lock lock;
    uint64_t position;
    uint64_t pull_position;
    uint64_t operation_slot;
    uint32_t operation;
    uint8_t unused_8[4];
};
_Static_assert(offsetof(struct queue_head, head) == 0, "as in Go");
_Static_assert(offsetof(struct queue_head, slots) == 16, "as in Go");
_Static_assert(offsetof(struct queue_head, block_size) == 24, "as in Go");
_Static_assert(offsetof(struct queue_head, lock) == 32, "as in Go");
_Static_assert(offsetof(struct queue_head, position) == 96, "as in Go");
_Static_assert(offsetof(struct queue_head, pull_position) == 104, "as in Go");
_Static_assert(offsetof(struct queue_head, operation_slot) == 112, "as in Go");
_Static_assert(offsetof(struct queue_head, operation) == 120, "as in Go");
_Static_assert(offsetof(struct queue_head, unused_8) == 124, "as in Go");
_Static_assert(sizeof(struct queue_head) == 128, "as in Go");

struct metric {
    int64_t value;
    uint8_t name[120];
};
_Static_assert(offsetof(struct metric, value) == 0, "as in Go");
_Static_assert(offsetof(struct metric, name) == 8, "as in Go");
_Static_assert(sizeof(struct metric) == 128, "as in Go");
