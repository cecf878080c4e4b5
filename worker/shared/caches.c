#include "caches.h"

#include <string.h>

enum { TRIES = 30, SLICE_MS = 200 };

int cache_count;
struct cache caches[MAX_CACHES];

struct cache *cache_named(const char *name, size_t size)
{
    if (!size)
        return cache_count ? caches : NULL;
    for (int i = 0; i < cache_count; i++)
        if (strlen(caches[i].name) == size && !memcmp(caches[i].name, name, size))
            return &caches[i];
    return NULL;
}

struct cache_news cache_news(struct cache *c, enum cache_result result)
{
    struct cache_news news = {0, result == CACHE_FULL && c->tell_full};
    if (c->tell_freed && c->head->freed)
        news.freed = __atomic_exchange_n(&c->head->freed, 0, __ATOMIC_RELAXED);
    return news;
}

static struct cache *of_place(const struct cache_place *place) { return cache_named(place->name, place->name_size); }

/* 0: the lock is broken. */
static int begin(struct cache *c)
{
    enum lock_result result = lock_try(&c->head->lock, TRIES, cache_repair, c);
    while (result == LOCK_BUSY)
        result = lock_wait(&c->head->lock, SLICE_MS, cache_repair, c);
    if (result == LOCK_TAKEN)
        cache_begin(c);
    return result == LOCK_TAKEN;
}

static void end(struct cache *c)
{
    cache_end(c);
    lock_end(&c->head->lock);
}

static void take_copy(void *to, const char *value, size_t size, uint64_t expires)
{
    struct cache_copy *copy = to;
    copy->size = size;
    copy->expires = expires;
    if (size <= copy->room_size)
        memcpy(copy->room, value, size);
}

static enum cache_result copy_value(const struct cache_place *place, struct cache_copy *copy)
{
    struct cache *c = of_place(place);
    if (!c)
        return CACHE_ABSENT;
    enum cache_result result = cache_read(c, place->key, place->key_size, take_copy, copy);
    if (result != CACHE_FULL)
        return result;
    if (!begin(c))
        return CACHE_REFUSED;
    uint32_t item = cache_get(c, place->key, place->key_size);
    if (item) {
        size_t size;
        const char *value = cache_value(c, item, &size);
        take_copy(copy, value, size, cache_expires(c, item));
    }
    end(c);
    return item ? CACHE_DONE : CACHE_ABSENT;
}

static enum cache_result add_value(const struct cache_place *place, const char *value, size_t size, int64_t seconds,
                                   struct cache_news *news)
{
    struct cache *c = of_place(place);
    if (!c)
        return CACHE_ABSENT;
    if (cache_read(c, place->key, place->key_size, NULL, NULL) == CACHE_DONE)
        return CACHE_THERE;
    if (!begin(c))
        return CACHE_REFUSED;
    enum cache_result result = cache_store(c, place->key, place->key_size, value, size, seconds, 0);
    end(c);
    *news = cache_news(c, result);
    return result;
}

static enum cache_result calculate_value(const struct cache_place *place, enum cache_math math, int64_t by, int64_t seconds,
                                         struct cache_news *news)
{
    struct cache *c = of_place(place);
    if (!c)
        return CACHE_ABSENT;
    if (!begin(c))
        return CACHE_REFUSED;
    enum cache_result result = cache_calculate(c, place->key, place->key_size, math, by, seconds);
    end(c);
    *news = cache_news(c, result);
    return result;
}

const struct cache_functions cache_functions_without_gil = {sizeof cache_functions_without_gil, copy_value, add_value, calculate_value};
