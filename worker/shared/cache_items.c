#include "cache_items.h"

enum { MAX_ITEMS = 1 << 30 };
static const uint64_t MAX_MEMORY = 1ULL << 46;

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

void item_link_newest(struct cache *c, uint32_t i)
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

void item_unlink_used(struct cache *c, uint32_t i)
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
    uint32_t i = *chain_of(c, hash);
    while (i) {
        const struct cache_item *item = &c->items[i];
        if (item->hash == hash && item->key_size == size && !memcmp(key_at(c, i), key, size))
            break;
        i = item->next;
    }
    return i;
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
    if (c->geometry.bitmap)
        memset(c->bitmap, 0, round_up(c->geometry.blocks, 64) / 8);
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
