#include "cache_items.h"

enum { MAX_ITEMS = 1 << 30 };
static const uint64_t MAX_MEMORY = 1ULL << 46;

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

/* ---- memory ---- */

/* The next part of the memory, if there is any: without, only its end is asked for. */
static void *part(char *memory, uint64_t *end, uint64_t size, uint64_t alignment)
{
    uint64_t at = round_up(*end, alignment);
    *end = at + size;
    return memory ? memory + at : NULL;
}

static uint64_t bitmap_size(const struct cache *c) { return c->geometry.bitmap ? round_up(c->geometry.blocks, 64) / 8 : 0; }

/* Says where everything is, and where it ends. */
static uint64_t lay_out(struct cache *c, char *memory)
{
    const struct cache_geometry *g = &c->geometry;
    uint64_t end = HEAD_SIZE;
    c->key_stride = round_up(g->key_size, 8);
    c->block_stride = round_up(g->block_size, 8);
    c->chains = part(memory, &end, g->hash_size * sizeof *c->chains, 8);
    c->items = part(memory, &end, g->items * sizeof *c->items, 64);
    c->keys = part(memory, &end, g->items * c->key_stride, 8);
    c->bitmap = part(memory, &end, bitmap_size(c), 8);
    c->blocks = part(memory, &end, g->blocks * c->block_stride, HEAD_SIZE);
    return round_up(end, HEAD_SIZE);
}

uint64_t cache_memory(const struct cache_geometry *g)
{
    if (!g->items || g->items > MAX_ITEMS || g->blocks < g->items || g->blocks > MAX_MEMORY || !g->block_size || !g->key_size ||
        !g->hash_size || g->hash_size > MAX_ITEMS || g->key_size > UINT16_MAX || g->block_size > MAX_MEMORY / g->blocks)
        return 0;
    struct cache c = {.geometry = *g};
    uint64_t end = lay_out(&c, NULL);
    return end > MAX_MEMORY ? 0 : end;
}

/* Items outlive an instance, its counts do not. */
static void take_over(void *guarded)
{
    struct cache *c = guarded;
    cache_repair(c);
    memset(c->head->reads, 0, sizeof c->head->reads);
    c->head->full = 0;
}

int cache_attach(struct cache *c, const struct cache_geometry *g, void *memory, uint64_t instance)
{
    c->geometry = *g;
    c->head = memory;
    lay_out(c, memory);
    return head_attach(&c->head->head, CACHE_MAGIC, instance, g, &c->head->lock, take_over, c);
}

/* ---- blocks ---- */

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

uint64_t blocks_take(struct cache *c, uint32_t item, uint64_t count)
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

void blocks_give(struct cache *c, uint64_t first, uint64_t count)
{
    if (c->geometry.bitmap)
        mark_blocks(c, first, count, 0);
}

/* ---- lists ---- */

/* Where an item says which one is newer or older; the head says so of no item. */
static uint32_t *newer_than(struct cache *c, uint32_t i) { return i ? &c->items[i].newer : &c->head->oldest; }
static uint32_t *older_than(struct cache *c, uint32_t i) { return i ? &c->items[i].older : &c->head->newest; }

void item_link_newest(struct cache *c, uint32_t i)
{
    c->items[i].newer = NONE;
    c->items[i].older = c->head->newest;
    *newer_than(c, c->head->newest) = i;
    c->head->newest = i;
}

void item_unlink_used(struct cache *c, uint32_t i)
{
    const struct cache_item *item = &c->items[i];
    *older_than(c, item->newer) = item->older;
    *newer_than(c, item->older) = item->newer;
}

void item_link(struct cache *c, uint32_t i)
{
    uint32_t *chain = chain_of(c, c->items[i].hash);
    c->items[i].next = *chain;
    *chain = i;
    item_link_newest(c, i);
    c->head->count++;
}

static void put_free(struct cache *c, uint32_t i)
{
    c->items[i].next = c->head->free;
    c->head->free = i;
}

void item_drop(struct cache *c, uint32_t i)
{
    struct cache_item *item = &c->items[i];
    set_state(item, ITEM_FREE);
    uint32_t *at = chain_of(c, item->hash);
    while (*at && *at != i)
        at = &c->items[*at].next;
    if (*at)
        *at = item->next;
    item_unlink_used(c, i);
    blocks_give(c, item->first_block, blocks_for(c, item->size));
    put_free(c, i);
    c->head->count--;
    touch_modified(c);
}

uint32_t item_find(const struct cache *c, const char *key, size_t size, uint32_t hash)
{
    for (uint32_t i = *chain_of(c, hash); i; i = c->items[i].next)
        if (c->items[i].hash == hash && c->items[i].key_size == size && !memcmp(key_at(c, i), key, size))
            return i;
    return NONE;
}

uint32_t item_find_valid(struct cache *c, const char *key, size_t size, uint32_t hash)
{
    uint32_t i = item_find(c, key, size, hash);
    if (!i || !expired(c, &c->items[i], c->items[i].expires ? now_ms() : 0))
        return i;
    item_drop(c, i);
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
    memset(c->bitmap, 0, bitmap_size(c));
    head->count = head->free = head->newest = head->oldest = head->hint = head->cursor = 0;
    if (head->used >= c->geometry.items)
        head->used = (uint32_t)c->geometry.items - 1;
    for (uint32_t i = head->used; i; i--) {
        struct cache_item *item = &c->items[i];
        if (!sound(c, i) || item_find(c, key_at(c, i), item->key_size, item->hash)) {
            set_state(item, ITEM_FREE);
            put_free(c, i);
            continue;
        }
        if (c->geometry.bitmap)
            mark_blocks(c, item->first_block, blocks_for(c, item->size), 1);
        item_link(c, i);
    }
}
