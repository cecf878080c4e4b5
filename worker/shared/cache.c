#include "cache_items.h"

enum { SWEEP_STEP = 32, LONGEST_CHAIN = 1000, READ_TRIES = 30 };

/* ---- room ---- */

static uint64_t drop_expired(struct cache *c, uint32_t from, uint32_t to, uint64_t now)
{
    uint64_t dropped = 0;
    for (uint32_t i = from; i < to; i++)
        if (c->items[i].state == ITEM_WHOLE && expired(c, &c->items[i], now)) {
            item_drop(c, i);
            dropped++;
        }
    c->head->freed += dropped;
    return dropped;
}

/* Looks at a few items whenever something is stored, so that all are looked at again and again. */
static void sweep_some(struct cache *c)
{
    if (c->no_expire || c->lazy_expire)
        return;
    uint64_t now = now_ms();
    uint32_t from = c->head->cursor, end = c->head->used + 1;
    if (from == NONE) {
        if (now / 1000 - c->head->swept_at < c->sweep_seconds)
            return;
        from = 1;
    }
    uint32_t to = end - from > SWEEP_STEP ? from + SWEEP_STEP : end;
    drop_expired(c, from, to, now);
    c->head->cursor = to >= end ? NONE : to;
    if (c->head->cursor == NONE)
        c->head->swept_at = now / 1000;
}

/* Looks at all items, where that can have changed something since the last time. */
static int sweep_all(struct cache *c)
{
    uint64_t now = now_ms();
    if (c->no_expire || now - c->head->scanned_at < 100)
        return 0;
    c->head->scanned_at = now;
    return drop_expired(c, 1, c->head->used + 1, now) > 0;
}

/* Makes room; 0: there is none to be made. */
static int make_room(struct cache *c, uint32_t keep)
{
    if (sweep_all(c))
        return 1;
    uint32_t oldest = c->head->oldest;
    if (oldest == keep && oldest)
        oldest = c->items[oldest].newer;
    if (c->purge_lru && oldest) {
        item_drop(c, oldest);
        return 1;
    }
    if (c->clear_on_full && c->head->count) {
        cache_clear(c);
        return 1;
    }
    c->head->full++;
    return 0;
}

/* ---- reading without the lock ---- */

void cache_begin(struct cache *c)
{
    __atomic_store_n(&c->head->sequence, c->head->sequence | 1, __ATOMIC_RELAXED); /* one that was killed has left it odd */
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

void cache_end(struct cache *c) { __atomic_store_n(&c->head->sequence, c->head->sequence + 1, __ATOMIC_RELEASE); }

struct cache_peek {
    uint64_t sequence;
    const char *value;
    size_t size;
    uint64_t expires;
};

static int unchanged(const struct cache *c, const struct cache_peek *peek)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&c->head->sequence, __ATOMIC_RELAXED) == peek->sequence;
}

static void count_read(struct cache *c, int hit)
{
    struct cache_reads *reads = &c->head->reads[lock_thread() % CACHE_READ_COUNTERS];
    __atomic_fetch_add(hit ? &reads->hits : &reads->misses, 1, __ATOMIC_RELAXED);
}

/* CACHE_DONE: the value, which is right if it is still unchanged when it has been copied. What is read here may be half written:
   nothing is believed of it but what keeps within the memory. */
static enum cache_result peek_at(const struct cache *c, const char *key, size_t key_size, struct cache_peek *peek)
{
    if (!key_size || key_size > c->geometry.key_size)
        return CACHE_ABSENT;
    peek->sequence = __atomic_load_n(&c->head->sequence, __ATOMIC_ACQUIRE);
    if (c->purge_lru || peek->sequence & 1)
        return CACHE_FULL;
    uint32_t hash = hash_of(key, key_size);
    uint32_t i = __atomic_load_n(chain_of(c, hash), __ATOMIC_RELAXED);
    for (int steps = 0; i; steps++) {
        if (i >= c->geometry.items || steps == LONGEST_CHAIN)
            return CACHE_FULL;
        const struct cache_item *item = &c->items[i];
        if (item->hash == hash && item->key_size == key_size && !memcmp(key_at(c, i), key, key_size))
            break;
        i = __atomic_load_n(&item->next, __ATOMIC_RELAXED);
    }
    if (!i)
        return unchanged(c, peek) ? CACHE_ABSENT : CACHE_FULL;
    struct cache_item item = c->items[i];
    if (!unchanged(c, peek) || (item.expires && expired(c, &item, now_ms())))
        return CACHE_FULL; /* it is to be dropped */
    peek->value = block_at(c, item.first_block);
    peek->size = item.size;
    peek->expires = c->no_expire ? 0 : item.expires;
    return CACHE_DONE;
}

enum cache_result cache_read(struct cache *c, const char *key, size_t key_size, take_function take, void *to)
{
    struct cache_peek peek;
    for (int i = 0; i < READ_TRIES; i++) {
        enum cache_result result = peek_at(c, key, key_size, &peek);
        if (result == CACHE_FULL) {
            if (!(peek.sequence & 1))
                return CACHE_FULL;
            lock_relax();
            continue;
        }
        if (result == CACHE_DONE && take)
            take(to, peek.value, peek.size, peek.expires);
        if (result == CACHE_DONE && !unchanged(c, &peek))
            continue;
        if (take)
            count_read(c, result == CACHE_DONE);
        return result;
    }
    return CACHE_FULL;
}

/* ---- operations ---- */

static uint64_t deadline(int64_t seconds)
{
    if (seconds <= 0)
        return seconds ? 1 : 0; /* long ago, or never */
    return seconds > INT32_MAX * 1000LL ? 0 : now_ms() + (uint64_t)seconds * 1000;
}

static int acceptable(const struct cache *c, size_t key_size, size_t size)
{
    return key_size && key_size <= c->geometry.key_size && size && blocks_for(c, size) <= (c->geometry.bitmap ? c->geometry.blocks : 1);
}

static enum cache_result add(struct cache *c, const char *key, size_t key_size, uint32_t hash, const char *value, size_t size,
                             uint64_t expires)
{
    struct cache_head *head = c->head;
    uint32_t i;
    uint64_t first;
    for (;;) {
        i = head->free ? head->free : head->used + 1 < c->geometry.items ? head->used + 1 : NONE;
        if (i && (first = blocks_take(c, i, blocks_for(c, size))) != NO_ROOM)
            break;
        if (!make_room(c, NONE))
            return CACHE_FULL;
    }
    struct cache_item *item = &c->items[i];
    if (i == head->free)
        head->free = item->next;
    else
        head->used = i;
    set_state(item, ITEM_WRITING);
    item->hash = hash;
    item->key_size = (uint32_t)key_size;
    item->first_block = first;
    item->size = size;
    item->expires = expires;
    memcpy(key_at(c, i), key, key_size);
    memcpy(block_at(c, first), value, size);
    set_state(item, ITEM_WHOLE);
    item_link(c, i);
    touch_modified(c);
    return CACHE_DONE;
}

static enum cache_result overwrite(struct cache *c, uint32_t i, const char *value, size_t size, uint64_t expires)
{
    struct cache_item *item = &c->items[i];
    uint64_t had = blocks_for(c, item->size), needed = blocks_for(c, size), first = item->first_block;
    while (needed > had && (first = blocks_take(c, i, needed)) == NO_ROOM)
        if (!make_room(c, i) || item->state != ITEM_WHOLE)
            return CACHE_FULL;
    set_state(item, ITEM_WRITING); /* one that is killed here loses the item, but never leaves half of it */
    memcpy(block_at(c, first), value, size);
    if (needed > had)
        blocks_give(c, item->first_block, had);
    else
        blocks_give(c, first + needed, had - needed);
    item->first_block = first;
    item->size = size;
    item->expires = expires;
    set_state(item, ITEM_WHOLE);
    touch_modified(c);
    return CACHE_DONE;
}

static void used_now(struct cache *c, uint32_t i)
{
    if (c->purge_lru && c->head->newest != i) {
        item_unlink_used(c, i);
        item_link_newest(c, i);
    }
}

uint32_t cache_get(struct cache *c, const char *key, size_t key_size)
{
    uint32_t i = item_find_valid(c, key, key_size, hash_of(key, key_size));
    count_read(c, i != NONE);
    if (i)
        used_now(c, i);
    return i;
}

const char *cache_value(const struct cache *c, uint32_t i, size_t *size)
{
    *size = c->items[i].size;
    return block_at(c, c->items[i].first_block);
}

uint64_t cache_expires(const struct cache *c, uint32_t i) { return c->no_expire ? 0 : c->items[i].expires; }

int cache_exists(struct cache *c, const char *key, size_t key_size) { return item_find_valid(c, key, key_size, hash_of(key, key_size)) != NONE; }

enum cache_result cache_store(struct cache *c, const char *key, size_t key_size, const char *value, size_t size, int64_t seconds,
                              int replace)
{
    if (!acceptable(c, key_size, size))
        return CACHE_REFUSED;
    uint32_t hash = hash_of(key, key_size);
    sweep_some(c);
    uint32_t i = item_find_valid(c, key, key_size, hash);
    if (!i)
        return add(c, key, key_size, hash, value, size, deadline(seconds));
    if (!replace)
        return CACHE_THERE;
    used_now(c, i);
    enum cache_result result = overwrite(c, i, value, size, deadline(seconds));
    if (result == CACHE_FULL && c->items[i].state != ITEM_WHOLE) /* all was cleared, and there is room */
        result = add(c, key, key_size, hash, value, size, deadline(seconds));
    return result;
}

enum cache_result cache_delete(struct cache *c, const char *key, size_t key_size)
{
    uint32_t i = item_find_valid(c, key, key_size, hash_of(key, key_size));
    if (!i)
        return CACHE_ABSENT;
    item_drop(c, i);
    return CACHE_DONE;
}

/* Without overflow that C leaves undefined. */
static int64_t calculate(enum cache_math math, int64_t value, int64_t by)
{
    uint64_t a = (uint64_t)value, b = (uint64_t)by;
    if (math == CACHE_INC)
        return (int64_t)(a + b);
    if (math == CACHE_DEC)
        return (int64_t)(a - b);
    if (math == CACHE_MUL)
        return (int64_t)(a * b);
    return by == 0 ? 0 : by == -1 ? (int64_t)-a : value / by;
}

enum cache_result cache_calculate(struct cache *c, const char *key, size_t key_size, enum cache_math math, int64_t by, int64_t seconds)
{
    int64_t value = c->math_initial;
    if (!acceptable(c, key_size, sizeof value))
        return CACHE_REFUSED;
    sweep_some(c);
    uint32_t hash = hash_of(key, key_size), i = item_find_valid(c, key, key_size, hash);
    if (!i) {
        value = calculate(math, value, by);
        return add(c, key, key_size, hash, (char *)&value, sizeof value, deadline(seconds));
    }
    struct cache_item *item = &c->items[i];
    char *at = block_at(c, item->first_block);
    value = 0;
    memcpy(&value, at, item->size < sizeof value ? item->size : sizeof value);
    value = calculate(math, value, by);
    used_now(c, i);
    if (item->size != sizeof value)
        return overwrite(c, i, (char *)&value, sizeof value, item->expires);
    __atomic_store_n((int64_t *)at, value, __ATOMIC_RELEASE); /* aligned: it is never half done */
    touch_modified(c);
    return CACHE_DONE;
}

void cache_clear(struct cache *c)
{
    for (uint32_t i = 1; i <= c->head->used; i++)
        set_state(&c->items[i], ITEM_FREE);
    cache_repair(c);
    touch_modified(c);
}

uint32_t cache_next(const struct cache *c, uint32_t i)
{
    uint64_t now = now_ms();
    while (++i <= c->head->used)
        if (c->items[i].state == ITEM_WHOLE && !expired(c, &c->items[i], now))
            return i;
    return NONE;
}

const char *cache_key(const struct cache *c, uint32_t i, size_t *size)
{
    *size = c->items[i].key_size;
    return key_at(c, i);
}
