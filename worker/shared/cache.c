#include "cache.h"

#include <string.h>
#include <time.h>

enum state { ITEM_FREE, ITEM_WRITING, ITEM_WHOLE };
enum { NONE = 0, SWEEP_STEP = 32, LONGEST_CHAIN = 1000, MAX_ITEMS = 1 << 30 };
static const uint64_t MAX_MEMORY = 1ULL << 46;
static const uint64_t NO_ROOM = UINT64_MAX;

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

/* ---- memory ---- */

struct places {
    uint64_t chains, items, keys, bitmap, blocks, end;
};

static struct places places_of(const struct cache_geometry *g)
{
    struct places p;
    p.chains = HEAD_SIZE;
    p.items = round_up(p.chains + g->hash_size * sizeof(uint32_t), 64);
    p.keys = p.items + g->items * sizeof(struct cache_item);
    p.bitmap = p.keys + g->items * round_up(g->key_size, 8);
    p.blocks = round_up(p.bitmap + (g->bitmap ? round_up(g->blocks, 64) / 8 : 0), HEAD_SIZE);
    p.end = round_up(p.blocks + g->blocks * round_up(g->block_size, 8), HEAD_SIZE);
    return p;
}

uint64_t cache_memory(const struct cache_geometry *g)
{
    if (!g->items || g->items > MAX_ITEMS || g->blocks < g->items || g->blocks > MAX_MEMORY || !g->block_size || !g->key_size ||
        !g->hash_size || g->hash_size > MAX_ITEMS || g->key_size > UINT16_MAX || g->block_size > MAX_MEMORY / g->blocks)
        return 0;
    uint64_t end = places_of(g).end;
    return end > MAX_MEMORY ? 0 : end;
}

int cache_attach(struct cache *c, const struct cache_geometry *g, void *memory, uint64_t instance)
{
    struct places p = places_of(g);
    char *base = memory;
    struct cache_head *head = memory;
    c->geometry = *g;
    c->head = head;
    c->chains = (uint32_t *)(base + p.chains);
    c->items = (struct cache_item *)(base + p.items);
    c->keys = base + p.keys;
    c->bitmap = (uint64_t *)(base + p.bitmap);
    c->blocks = base + p.blocks;
    c->key_stride = round_up(g->key_size, 8);
    c->block_stride = round_up(g->block_size, 8);
    int made = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE) == CACHE_MAGIC;
    if (made && (head->items != g->items || head->blocks != g->blocks || head->block_size != g->block_size ||
                 head->key_size != g->key_size || head->hash_size != g->hash_size || head->bitmap != g->bitmap))
        return -1;
    if (made && head->instance == instance)
        return 0;
    if (lock_make(&head->lock))
        return -1;
    if (made)
        cache_repair(c);
    head->items = g->items;
    head->blocks = g->blocks;
    head->block_size = g->block_size;
    head->key_size = g->key_size;
    head->hash_size = g->hash_size;
    head->bitmap = g->bitmap;
    memset(head->reads, 0, sizeof head->reads);
    head->full = 0;
    head->instance = instance;
    __atomic_store_n(&head->magic, CACHE_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

/* ---- parts ---- */

static void set_state(struct cache_item *item, enum state state)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a killed process has done all that stands before, and nothing behind */
    __atomic_store_n(&item->state, state, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Eight bytes at a time; the end is mixed as a number that knows its length. */
static uint32_t hash_of(const char *key, size_t size)
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

static char *key_at(const struct cache *c, uint32_t item) { return c->keys + item * c->key_stride; }
static char *block_at(const struct cache *c, uint64_t block) { return c->blocks + block * c->block_stride; }
static uint64_t blocks_for(const struct cache *c, uint64_t size) { return (size + c->geometry.block_size - 1) / c->geometry.block_size; }
static uint32_t *chain_of(const struct cache *c, uint32_t hash) { return &c->chains[hash % c->geometry.hash_size]; }

static int expired(const struct cache *c, const struct cache_item *item, uint64_t now)
{
    return item->expires && item->expires <= now && !c->no_expire;
}

static void touch_modified(struct cache *c)
{
    if (c->last_modified)
        c->head->last_modified = now_ms() / 1000;
}

/* ---- blocks ---- */

static int block_taken(const struct cache *c, uint64_t block) { return c->bitmap[block / 64] >> (block % 64) & 1; }

static void mark_blocks(struct cache *c, uint64_t first, uint64_t count, int taken)
{
    for (uint64_t block = first; block < first + count; block++) {
        uint64_t bit = 1ULL << (block % 64);
        c->bitmap[block / 64] = taken ? c->bitmap[block / 64] | bit : c->bitmap[block / 64] & ~bit;
    }
}

static uint64_t find_blocks(const struct cache *c, uint64_t from, uint64_t to, uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t block = from; block < to; block++) {
        if (block % 64 == 0 && c->bitmap[block / 64] == UINT64_MAX) {
            run = 0;
            block += 63;
        } else if (block_taken(c, block)) {
            run = 0;
        } else if (++run == count) {
            return block - count + 1;
        }
    }
    return NO_ROOM;
}

/* Blocks in a row for an item. Without a bitmap each item has one of its own. */
static uint64_t take_blocks(struct cache *c, uint32_t item, uint64_t count)
{
    if (!c->geometry.bitmap)
        return item;
    uint64_t first = find_blocks(c, c->head->hint, c->geometry.blocks, count);
    if (first == NO_ROOM)
        first = find_blocks(c, 0, c->geometry.blocks, count);
    if (first != NO_ROOM) {
        mark_blocks(c, first, count, 1);
        c->head->hint = first + count < c->geometry.blocks ? first + count : 0;
    }
    return first;
}

static void give_blocks(struct cache *c, uint64_t first, uint64_t count)
{
    if (c->geometry.bitmap)
        mark_blocks(c, first, count, 0);
}

/* ---- lists ---- */

static void link_newest(struct cache *c, uint32_t i)
{
    struct cache_head *head = c->head;
    c->items[i].newer = NONE;
    c->items[i].older = head->newest;
    if (head->newest)
        c->items[head->newest].newer = i;
    else
        head->oldest = i;
    head->newest = i;
}

static void unlink_used(struct cache *c, uint32_t i)
{
    const struct cache_item *item = &c->items[i];
    if (item->newer)
        c->items[item->newer].older = item->older;
    else
        c->head->newest = item->older;
    if (item->older)
        c->items[item->older].newer = item->newer;
    else
        c->head->oldest = item->newer;
}

static void link_all(struct cache *c, uint32_t i)
{
    uint32_t *chain = chain_of(c, c->items[i].hash);
    c->items[i].next = *chain;
    *chain = i;
    link_newest(c, i);
    c->head->count++;
}

static void put_free(struct cache *c, uint32_t i)
{
    c->items[i].next = c->head->free;
    c->head->free = i;
}

static void drop(struct cache *c, uint32_t i)
{
    struct cache_item *item = &c->items[i];
    set_state(item, ITEM_FREE);
    uint32_t *at = chain_of(c, item->hash);
    while (*at && *at != i)
        at = &c->items[*at].next;
    if (*at)
        *at = item->next;
    unlink_used(c, i);
    give_blocks(c, item->first_block, blocks_for(c, item->size));
    put_free(c, i);
    c->head->count--;
    touch_modified(c);
}

static uint32_t find(const struct cache *c, const char *key, size_t size, uint32_t hash)
{
    uint32_t i = *chain_of(c, hash);
    while (i) {
        const struct cache_item *item = &c->items[i];
        if (item->hash == hash && item->key_size == size && !memcmp(key_at(c, i), key, size))
            break;
        i = item->next;
    }
    return i;
}

/* The item that is there and has not expired. */
static uint32_t find_valid(struct cache *c, const char *key, size_t size, uint32_t hash)
{
    uint32_t i = find(c, key, size, hash);
    if (!i || !expired(c, &c->items[i], c->items[i].expires ? now_ms() : 0))
        return i;
    drop(c, i);
    c->head->freed++;
    return NONE;
}

/* ---- repair ---- */

static int sound(const struct cache *c, uint32_t i)
{
    const struct cache_item *item = &c->items[i];
    if (item->state != ITEM_WHOLE || !item->key_size || item->key_size > c->geometry.key_size || !item->size)
        return 0;
    uint64_t count = blocks_for(c, item->size);
    if (!c->geometry.bitmap)
        return count == 1 && item->first_block == i && item->hash == hash_of(key_at(c, i), item->key_size);
    if (count > c->geometry.blocks || item->first_block > c->geometry.blocks - count)
        return 0;
    for (uint64_t n = 0; n < count; n++)
        if (block_taken(c, item->first_block + n))
            return 0;
    return item->hash == hash_of(key_at(c, i), item->key_size);
}

/* Makes everything anew from the items that are whole. */
void cache_repair(void *guarded)
{
    struct cache *c = guarded;
    struct cache_head *head = c->head;
    cache_begin(c); /* it stays so until whoever has the lock is done */
    memset(c->chains, 0, c->geometry.hash_size * sizeof *c->chains);
    if (c->geometry.bitmap)
        memset(c->bitmap, 0, round_up(c->geometry.blocks, 64) / 8);
    head->count = head->free = head->newest = head->oldest = head->hint = head->cursor = 0;
    if (head->used >= c->geometry.items)
        head->used = (uint32_t)c->geometry.items - 1;
    for (uint32_t i = head->used; i; i--) {
        struct cache_item *item = &c->items[i];
        if (!sound(c, i) || find(c, key_at(c, i), item->key_size, item->hash)) {
            set_state(item, ITEM_FREE);
            put_free(c, i);
            continue;
        }
        if (c->geometry.bitmap)
            mark_blocks(c, item->first_block, blocks_for(c, item->size), 1);
        link_all(c, i);
    }
}

/* ---- room ---- */

static uint64_t drop_expired(struct cache *c, uint32_t from, uint32_t to, uint64_t now)
{
    uint64_t dropped = 0;
    for (uint32_t i = from; i < to; i++) {
        if (c->items[i].state == ITEM_WHOLE && expired(c, &c->items[i], now)) {
            drop(c, i);
            dropped++;
        }
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
        drop(c, oldest);
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

int cache_unchanged(const struct cache *c, const struct cache_peek *peek)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&c->head->sequence, __ATOMIC_RELAXED) == peek->sequence;
}

void cache_count_read(struct cache *c, int hit)
{
    struct cache_reads *reads = &c->head->reads[lock_thread() % CACHE_READ_COUNTERS];
    __atomic_fetch_add(hit ? &reads->hits : &reads->misses, 1, __ATOMIC_RELAXED);
}

/* What is read here may be half written: nothing is believed of it but what keeps within the memory. */
enum cache_result cache_peek(const struct cache *c, const char *key, size_t key_size, struct cache_peek *peek)
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
        return cache_unchanged(c, peek) ? CACHE_ABSENT : CACHE_FULL;
    struct cache_item item = c->items[i];
    if (!cache_unchanged(c, peek) || (item.expires && expired(c, &item, now_ms())))
        return CACHE_FULL; /* it is to be dropped */
    peek->value = block_at(c, item.first_block);
    peek->size = item.size;
    return CACHE_DONE;
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
        if (i && (first = take_blocks(c, i, blocks_for(c, size))) != NO_ROOM)
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
    link_all(c, i);
    touch_modified(c);
    return CACHE_DONE;
}

static enum cache_result overwrite(struct cache *c, uint32_t i, const char *value, size_t size, uint64_t expires)
{
    struct cache_item *item = &c->items[i];
    uint64_t had = blocks_for(c, item->size), needed = blocks_for(c, size), first = item->first_block;
    while (needed > had && (first = take_blocks(c, i, needed)) == NO_ROOM)
        if (!make_room(c, i) || item->state != ITEM_WHOLE)
            return CACHE_FULL;
    set_state(item, ITEM_WRITING); /* one that is killed here loses the item, but never leaves half of it */
    memcpy(block_at(c, first), value, size);
    if (needed > had)
        give_blocks(c, item->first_block, had);
    else
        give_blocks(c, first + needed, had - needed);
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
        unlink_used(c, i);
        link_newest(c, i);
    }
}

uint32_t cache_get(struct cache *c, const char *key, size_t key_size)
{
    uint32_t i = find_valid(c, key, key_size, hash_of(key, key_size));
    cache_count_read(c, i != NONE);
    if (i)
        used_now(c, i);
    return i;
}

const char *cache_value(const struct cache *c, uint32_t i, size_t *size)
{
    *size = c->items[i].size;
    return block_at(c, c->items[i].first_block);
}

int cache_exists(struct cache *c, const char *key, size_t key_size) { return find_valid(c, key, key_size, hash_of(key, key_size)) != NONE; }

enum cache_result cache_store(struct cache *c, const char *key, size_t key_size, const char *value, size_t size, int64_t seconds,
                              int replace)
{
    if (!acceptable(c, key_size, size))
        return CACHE_REFUSED;
    uint32_t hash = hash_of(key, key_size);
    sweep_some(c);
    uint32_t i = find_valid(c, key, key_size, hash);
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
    uint32_t i = find_valid(c, key, key_size, hash_of(key, key_size));
    if (!i)
        return CACHE_ABSENT;
    drop(c, i);
    return CACHE_DONE;
}

/* Without overflow that C leaves undefined. */
static int64_t calculate(enum cache_math math, int64_t value, int64_t by)
{
    uint64_t a = (uint64_t)value, b = (uint64_t)by;
    switch (math) {
    case CACHE_INC:
        return (int64_t)(a + b);
    case CACHE_DEC:
        return (int64_t)(a - b);
    case CACHE_MUL:
        return (int64_t)(a * b);
    case CACHE_DIV:
        break;
    }
    return by == 0 ? 0 : by == -1 ? (int64_t)-a : value / by;
}

enum cache_result cache_calculate(struct cache *c, const char *key, size_t key_size, enum cache_math math, int64_t by, int64_t seconds)
{
    int64_t value = c->math_initial;
    if (!acceptable(c, key_size, sizeof value))
        return CACHE_REFUSED;
    sweep_some(c);
    uint32_t hash = hash_of(key, key_size), i = find_valid(c, key, key_size, hash);
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
