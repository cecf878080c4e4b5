/* The caches that this process has attached, and what code without Python does with them. */
#pragma once
#include "cache.h"

enum { MAX_CACHES = 256 };

extern int cache_count;
extern struct cache caches[MAX_CACHES];

/* The cache of that name, or the first one for an empty name; NULL: there is none. */
struct cache *cache_named(const char *name, size_t size);

/* What is to be told of a cache when an operation has had that result. */
struct cache_news {
    uint64_t freed; /* items that have expired */
    int full;       /* an item could not be stored */
};
struct cache_news cache_news(struct cache *cache, enum cache_result result);

/* The functions below are for threads without the GIL: they wait for the cache's lock for as long as it takes. CACHE_ABSENT, too, if
   there is no cache of that name. */
struct cache_place {
    const char *name, *key;
    size_t name_size, key_size;
};

/* Copies a value as far as there is room; size is all of it. */
struct cache_copy {
    char *room;
    size_t room_size, size;
    uint64_t expires; /* as of a take_function */
};

/* The table of them, which another library of the process gets in a capsule of that name: size is the table's own, in bytes. */
#define CACHE_FUNCTIONS "_envoxyd_shared.without_gil"
struct cache_functions {
    size_t size;
    enum cache_result (*copy)(const struct cache_place *place, struct cache_copy *copy);
    enum cache_result (*add)(const struct cache_place *place, const char *value, size_t size, int64_t seconds, struct cache_news *news);
    enum cache_result (*calculate)(const struct cache_place *place, enum cache_math math, int64_t by, int64_t seconds,
                                   struct cache_news *news);
};
extern const struct cache_functions cache_functions_without_gil;
