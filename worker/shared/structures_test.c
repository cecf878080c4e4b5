/* Tests of the structures without Python: structures_test PLAN. structures_test.go compiles and runs it, with sanitizers too. */
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "area.h"
#include "cache_items.h"
#include "caches.h"
#include "queue.h"

#define CHECK(is)                                                                                                                          \
    do {                                                                                                                                   \
        if (!(is)) {                                                                                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #is);                                                               \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static uint64_t of_instance = 1;

static struct cache make_cache(struct cache_geometry geometry)
{
    struct cache c = {.sweep_seconds = 3};
    uint64_t size = cache_memory(&geometry);
    CHECK(size);
    CHECK(cache_attach(&c, &geometry, shared_memory(size), of_instance) == 0);
    return c;
}

static enum cache_result set(struct cache *c, const char *key, const char *value)
{
    return cache_store(c, key, strlen(key), value, strlen(value), 0, 0);
}

static enum cache_result update(struct cache *c, const char *key, const char *value)
{
    return cache_store(c, key, strlen(key), value, strlen(value), 0, 1);
}

static int holds(struct cache *c, const char *key, const char *value)
{
    size_t size;
    uint32_t item = cache_get(c, key, strlen(key));
    if (!item || !value)
        return !item && !value;
    const char *is = cache_value(c, item, &size);
    return size == strlen(value) && !memcmp(is, value, size);
}

/* NULL, or what is wrong with a cache. */
static const char *fault(struct cache *c)
{
    uint64_t whole = 0, listed = 0, blocks = 0, taken = 0, unused = 0;
    for (uint32_t i = 1; i <= c->head->used; i++) {
        if (c->items[i].state == ITEM_WRITING)
            return "an item that is half written";
        if (c->items[i].state != ITEM_WHOLE)
            continue;
        whole++;
        blocks += blocks_for(c, c->items[i].size);
        if (item_find(c, key_at(c, i), c->items[i].key_size, hash_of(key_at(c, i), c->items[i].key_size)) != i)
            return "an item that is not found under its key";
    }
    for (uint32_t i = c->head->newest; i && listed <= whole; i = c->items[i].older)
        listed++;
    for (uint32_t i = c->head->free; i && unused <= c->head->used; i = c->items[i].next)
        unused++;
    for (uint64_t block = 0; c->geometry.bitmap && block < c->geometry.blocks; block++)
        taken += (uint64_t)block_taken(c, block);
    if (whole != c->head->count)
        return "a wrong count";
    if (listed != whole)
        return "a wrong list of items by their use";
    if (unused + whole != c->head->used)
        return "items that are lost";
    if (c->geometry.bitmap && taken != blocks)
        return "blocks that are lost or taken twice";
    return NULL;
}

#define WHOLE(c)                                                                                                                           \
    do {                                                                                                                                   \
        const char *wrong = fault(c);                                                                                                      \
        if (wrong) {                                                                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, wrong);                                                                     \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

/* ---- one process ---- */

static void test_cache(void)
{
    struct cache c = make_cache((struct cache_geometry){10, 10, 100, 16, 4, 0});
    char key[32], large[128] = "";
    memset(large, 'x', 101);
    CHECK(set(&c, "k", "one") == CACHE_DONE && set(&c, "k", "two") == CACHE_THERE && holds(&c, "k", "one"));
    CHECK(update(&c, "k", "three") == CACHE_DONE && holds(&c, "k", "three"));
    CHECK(update(&c, "k", large) == CACHE_REFUSED && set(&c, "", "x") == CACHE_REFUSED && set(&c, "e", "") == CACHE_REFUSED);
    CHECK(set(&c, "12345678901234567", "x") == CACHE_REFUSED);
    CHECK(cache_delete(&c, "k", 1) == CACHE_DONE && cache_delete(&c, "k", 1) == CACHE_ABSENT && holds(&c, "k", NULL));
    for (int i = 0; i < 12; i++) {
        snprintf(key, sizeof key, "k%d", i);
        CHECK(set(&c, key, "v") == (i < 9 ? CACHE_DONE : CACHE_FULL));
    }
    CHECK(c.head->full == 3 && c.head->count == 9);
    WHOLE(&c);
    c.purge_lru = 1;
    CHECK(holds(&c, "k0", "v") && set(&c, "new", "v") == CACHE_DONE && holds(&c, "k0", "v") && holds(&c, "k1", NULL));
    WHOLE(&c);
    c.purge_lru = 0;
    c.clear_on_full = 1;
    CHECK(set(&c, "newer", "v") == CACHE_DONE && c.head->count == 1);
    WHOLE(&c);
}

static void test_numbers(void)
{
    struct cache c = make_cache((struct cache_geometry){10, 10, 100, 16, 4, 0});
    static const struct {
        enum cache_math math;
        int64_t by, is;
    } steps[] = {{CACHE_INC, 6, 6}, {CACHE_DEC, 2, 4}, {CACHE_MUL, 10, 40}, {CACHE_DIV, 20, 2}, {CACHE_DIV, 0, 0}, {CACHE_DEC, INT64_MAX, -INT64_MAX},
                 {CACHE_DEC, 1, INT64_MIN}, {CACHE_DIV, -1, INT64_MIN}};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        int64_t is;
        size_t size;
        CHECK(cache_calculate(&c, "n", 1, steps[i].math, steps[i].by, 0) == CACHE_DONE);
        memcpy(&is, cache_value(&c, cache_get(&c, "n", 1), &size), sizeof is);
        CHECK(size == 8 && is == steps[i].is);
    }
    CHECK(set(&c, "t", "abc") == CACHE_DONE && cache_calculate(&c, "t", 1, CACHE_INC, 1, 0) == CACHE_DONE);
    size_t size;
    CHECK(!memcmp(cache_value(&c, cache_get(&c, "t", 1), &size), "bbc\0\0\0\0", 8) && size == 8);
    WHOLE(&c);
}

static void test_expiry(void)
{
    struct cache c = make_cache((struct cache_geometry){3, 3, 100, 16, 4, 0});
    CHECK(cache_store(&c, "a", 1, "v", 1, -1, 0) == CACHE_DONE && holds(&c, "a", NULL));
    CHECK(cache_store(&c, "a", 1, "v", 1, -1, 0) == CACHE_DONE && cache_store(&c, "a", 1, "w", 1, 100, 0) == CACHE_DONE && holds(&c, "a", "w"));
    CHECK(cache_store(&c, "b", 1, "v", 1, -1, 0) == CACHE_DONE);
    CHECK(cache_store(&c, "c", 1, "v", 1, 0, 0) == CACHE_DONE); /* there is room where b was */
    CHECK(set(&c, "d", "v") == CACHE_FULL);
    WHOLE(&c);
    CHECK(cache_delete(&c, "c", 1) == CACHE_DONE);
    c.no_expire = 1;
    CHECK(cache_store(&c, "e", 1, "v", 1, -1, 0) == CACHE_DONE && holds(&c, "e", "v"));
}

static void test_blocks(void)
{
    struct cache c = make_cache((struct cache_geometry){100, 130, 10, 16, 64, 1});
    char value[1400];
    memset(value, 'v', sizeof value);
    CHECK(cache_store(&c, "all", 3, value, 1300, 0, 0) == CACHE_DONE && set(&c, "more", "x") == CACHE_FULL);
    CHECK(cache_store(&c, "all", 3, value, 1301, 0, 1) == CACHE_REFUSED);
    CHECK(cache_store(&c, "all", 3, value, 15, 0, 1) == CACHE_DONE && set(&c, "more", "x") == CACHE_DONE);
    WHOLE(&c);
    srand(7);
    for (int i = 0; i < 20000; i++) {
        char key = (char)('a' + rand() % 26);
        if (rand() % 3)
            cache_store(&c, &key, 1, value, (size_t)(1 + rand() % 200), 0, rand() % 2);
        else
            cache_delete(&c, &key, 1);
        if (i % 1000 == 0)
            WHOLE(&c);
    }
    WHOLE(&c);
    cache_clear(&c);
    WHOLE(&c);
    CHECK(c.head->count == 0);
}

static void test_queue(void)
{
    struct queue q;
    size_t size;
    CHECK(queue_attach(&q, 3, 32, shared_memory(queue_memory(3, 32)), of_instance) == 0);
    CHECK(!queue_push(&q, "12345678901234567", 17) && !queue_push(&q, "", 0));
    for (const char *m = "abcd"; *m; m++)
        CHECK(queue_push(&q, m, 1));
    CHECK(q.head->position == 1 && *queue_get(&q, 0, &size) == 'd' && size == 1);
    CHECK(queue_last(&q) == 0 && queue_first(&q) == 0);
    queue_drop_first(&q);
    CHECK(queue_first(&q) == 1 && !queue_get(&q, 0, &size));
    queue_drop_last(&q); /* of an empty slot */
    CHECK(q.head->position == 0);
    queue_repair(&q);
    CHECK(q.head->position == 0 && queue_first(&q) == 1 && *queue_get(&q, 1, &size) == 'b');
}

/* Whose process was killed is finished if its message is there, or gone, else forgotten. */
static void test_unfinished(void)
{
    static const struct {
        uint32_t operation; /* as in queue.c: push, drop the first, drop the last */
        uint64_t slot;
        int there; /* the message */
        uint64_t position, pull_position;
    } cases[] = {{1, 2, 1, 3, 0}, {1, 2, 0, 2, 0}, {2, 0, 0, 2, 1}, {2, 0, 1, 2, 0}, {3, 1, 0, 1, 0}, {3, 1, 1, 2, 0}, {1, 9, 1, 2, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct queue q;
        CHECK(queue_attach(&q, 4, 32, shared_memory(queue_memory(4, 32)), of_instance) == 0);
        CHECK(queue_push(&q, "a", 1) && queue_push(&q, "b", 1));
        q.head->operation = cases[i].operation;
        q.head->operation_slot = cases[i].slot;
        if (cases[i].slot < q.count)
            *(uint64_t *)(q.slots + cases[i].slot * 32) = (uint64_t)cases[i].there;
        queue_repair(&q);
        CHECK(q.head->position == cases[i].position && q.head->pull_position == cases[i].pull_position && q.head->operation == 0);
    }
}

static void test_geometry(void)
{
    struct cache_geometry g = {10, 10, 100, 16, 4, 0}, other = {10, 10, 100, 17, 4, 0}, huge = {1 << 30, 1 << 30, 1 << 30, 16, 4, 0};
    void *memory = shared_memory(cache_memory(&other));
    struct cache one = {.sweep_seconds = 3}, next = one;
    CHECK(cache_memory(&huge) == 0 && queue_memory(10, 16) == 0);
    CHECK(cache_attach(&one, &g, memory, 1) == 0 && set(&one, "k", "v") == CACHE_DONE);
    CHECK(cache_attach(&next, &other, memory, 1) < 0);
    one.head->count = 77;                                                       /* as if the machine had stopped */
    CHECK(cache_attach(&next, &g, memory, 2) == 0 && holds(&next, "k", "v") && next.head->count == 1);
    WHOLE(&next);
}

/* ---- several ---- */

static struct cache counted;
static struct area area;
enum { ROUNDS = 20000 };

static void *count_up(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(lock_try(&counted.head->lock, 100, cache_repair, &counted) == LOCK_TAKEN ||
              lock_wait(&counted.head->lock, 60000, cache_repair, &counted) == LOCK_TAKEN);
        CHECK(cache_calculate(&counted, "n", 1, CACHE_INC, 1, 0) == CACHE_DONE);
        lock_end(&counted.head->lock);
        CHECK(area_add(&area, 8, 1, 8, 60000) == LOCK_TAKEN && area_add(&area, 17, 1, 4, 60000) == LOCK_TAKEN);
        if (i % 100 == 0) {
            int taken = 0;
            CHECK(area_write_lock(&area, &taken, 60000) == LOCK_TAKEN);
            area.bytes[0]++;
            area_unlock(&area);
            CHECK(area_read_lock(&area, 60000) == LOCK_TAKEN);
            area_unlock(&area);
        }
    }
    return unused;
}

static void test_threads(void)
{
    counted = make_cache((struct cache_geometry){10, 10, 100, 16, 4, 0});
    area = (struct area){shared_memory(sizeof(struct area_head)), shared_memory(4096), 4096};
    CHECK(area_make(area.head) == 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(!pthread_create(&threads[i], NULL, count_up, NULL));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int64_t sum;
    int32_t odd;
    size_t size;
    memcpy(&sum, cache_value(&counted, cache_get(&counted, "n", 1), &size), 8);
    CHECK(sum == 4 * ROUNDS);
    memcpy(&sum, area.bytes + 8, 8);
    memcpy(&odd, area.bytes + 17, 4);
    CHECK(sum == 4 * ROUNDS && odd == 4 * ROUNDS);
    CHECK(lock_try(&counted.head->lock, 1, NULL, NULL) == LOCK_TAKEN);
    CHECK(lock_wait(&counted.head->lock, 1000, NULL, NULL) == LOCK_MINE_ALREADY);
    CHECK(lock_release(&counted.head->lock) == 1 && lock_release(&counted.head->lock) == 0 && !lock_held(&counted.head->lock));
}

/* A value that shows what is not whole of it. */
static size_t fill(char *value, unsigned seed)
{
    size_t size = 8 + seed % 900;
    memset(value, 'a' + (int)(seed % 26), size);
    return size;
}

static int uniform(const char *value, size_t size)
{
    for (size_t i = 1; i < size; i++)
        if (value[i] != value[0])
            return 0;
    return size >= 8 && size == 8 + (size - 8) % 900;
}

#if !defined(__SANITIZE_THREAD__) /* who reads without a lock finds out afterwards whether it was right */
static int stop;

static void *rewrite(void *unused)
{
    char value[1024], key[16];
    for (unsigned i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        size_t size = fill(value, i * 7919), key_size = (size_t)snprintf(key, sizeof key, "k%u", i % 40);
        CHECK(lock_wait(&counted.head->lock, 60000, cache_repair, &counted) == LOCK_TAKEN);
        cache_begin(&counted);
        if (i % 5)
            cache_store(&counted, key, key_size, value, size, 0, 1);
        else
            cache_delete(&counted, key, key_size);
        cache_end(&counted);
        lock_end(&counted.head->lock);
    }
    return unused;
}

struct taken {
    char value[1024];
    size_t size;
    unsigned times;
};

static void take_value(void *to, const char *value, size_t size, uint64_t expires)
{
    struct taken *taken = to;
    CHECK(size <= sizeof taken->value && expires == 0);
    memcpy(taken->value, value, size);
    taken->size = size;
    taken->times++;
}

static void test_readers(void)
{
    counted = make_cache((struct cache_geometry){50, 200, 100, 16, 16, 1});
    pthread_t writers[2];
    for (int i = 0; i < 2; i++)
        CHECK(!pthread_create(&writers[i], NULL, rewrite, NULL));
    char key[16];
    unsigned right = 0;
    struct taken taken = {.times = 0};
    for (unsigned i = 0; right < 20000; i++) {
        size_t key_size = (size_t)snprintf(key, sizeof key, "k%u", i % 40);
        if (cache_read(&counted, key, key_size, take_value, &taken) != CACHE_DONE)
            continue;
        CHECK(uniform(taken.value, taken.size));
        right++;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    printf("%u reads without the lock were right, of %u\n", right, taken.times);
}
#else
static void test_readers(void) {}
#endif

static struct cache_place place_of(const char *name, const char *key) { return (struct cache_place){name, key, strlen(name), strlen(key)}; }

/* What code without Python is given: by the names of caches. */
static void test_without_gil(void)
{
    const struct cache_functions *f = &cache_functions_without_gil;
    char room[64];
    struct cache_copy copy = {.room = room, .room_size = 4};
    struct cache_news news;
    struct cache_place there = place_of("second", "key"), unknown = place_of("third", "key"), nameless = place_of("", "key");
    CHECK(f->size == sizeof *f && f->copy(&nameless, &copy) == CACHE_ABSENT);
    caches[0] = make_cache((struct cache_geometry){3, 3, 100, 16, 16, 0});
    caches[1] = make_cache((struct cache_geometry){3, 3, 100, 16, 16, 0});
    caches[0].name = "first";
    caches[1].name = "second";
    caches[1].tell_full = 1;
    cache_count = 2;
    for (caches[1].purge_lru = 0; caches[1].purge_lru < 2; caches[1].purge_lru++) { /* read without the lock, and with it */
        caches[1].no_expire = 0;
        CHECK(f->copy(&there, &copy) == CACHE_ABSENT);
        CHECK(f->add(&there, "longer", 6, 100, &news) == CACHE_DONE && !news.full && !news.freed);
        CHECK(f->add(&there, "other", 5, 0, &news) == CACHE_THERE);
        copy.room_size = 4;
        CHECK(f->copy(&there, &copy) == CACHE_DONE && copy.size == 6 && copy.expires > 0);
        copy.room_size = sizeof room;
        CHECK(f->copy(&there, &copy) == CACHE_DONE && copy.size == 6 && !memcmp(room, "longer", 6));
        caches[1].no_expire = 1;
        CHECK(f->copy(&there, &copy) == CACHE_DONE && copy.expires == 0);
        CHECK(f->copy(&nameless, &copy) == CACHE_ABSENT && f->copy(&unknown, &copy) == CACHE_ABSENT);
        CHECK(lock_wait(&caches[1].head->lock, 1000, cache_repair, &caches[1]) == LOCK_TAKEN);
        cache_delete(&caches[1], "key", 3);
        lock_end(&caches[1].head->lock);
    }
    caches[1].purge_lru = 0;
    struct cache_place number = place_of("first", "n"), more = place_of("second", "more");
    int64_t value = 0;
    CHECK(f->calculate(&number, CACHE_INC, 5, 0, &news) == CACHE_DONE && f->calculate(&number, CACHE_MUL, 3, 0, &news) == CACHE_DONE);
    CHECK(f->copy(&number, &copy) == CACHE_DONE && copy.size == sizeof value);
    memcpy(&value, room, sizeof value);
    CHECK(value == 15 && f->calculate(&unknown, CACHE_INC, 1, 0, &news) == CACHE_ABSENT);
    CHECK(f->add(&unknown, "x", 1, 0, &news) == CACHE_ABSENT && f->add(&there, "x", 1, 0, &news) == CACHE_DONE);
    CHECK(f->add(&more, "x", 1, 0, &news) == CACHE_DONE);
    struct cache_place third = place_of("second", "third");
    CHECK(f->add(&third, "x", 1, 0, &news) == CACHE_FULL && news.full);
    cache_count = 0;
}

static void write_for_ever(struct cache *c, struct queue *q, unsigned seed)
{
    char value[1024], key[16];
    for (unsigned i = seed;; i = i * 1103515245 + 12345) {
        size_t size = fill(value, i >> 8), key_size = (size_t)snprintf(key, sizeof key, "k%u", i >> 16 & 63);
        while (lock_try(&c->head->lock, 100, cache_repair, c) != LOCK_TAKEN && lock_wait(&c->head->lock, 100, cache_repair, c) != LOCK_TAKEN)
            ;
        if (i >> 24 & 3)
            cache_store(c, key, key_size, value, size, 0, 1);
        else
            cache_delete(c, key, key_size);
        lock_end(&c->head->lock);
        while (lock_try(&q->head->lock, 100, queue_repair, q) != LOCK_TAKEN && lock_wait(&q->head->lock, 100, queue_repair, q) != LOCK_TAKEN)
            ;
        if (i >> 24 & 3)
            queue_push(q, value, size);
        else if (i >> 26 & 1)
            queue_drop_first(q);
        else
            queue_drop_last(q);
        lock_end(&q->head->lock);
    }
}

static void check_queue(struct queue *q)
{
    size_t size;
    CHECK(q->head->position < q->count && q->head->pull_position < q->count && q->head->operation == 0);
    for (uint64_t slot = 0; slot < q->count; slot++) {
        const char *message = queue_get(q, slot, &size);
        CHECK(!message || uniform(message, size));
    }
}

static void test_kills(int kills)
{
    struct cache c = make_cache((struct cache_geometry){50, 200, 100, 16, 16, 1});
    struct queue q;
    CHECK(queue_attach(&q, 7, 1024, shared_memory(queue_memory(7, 1024)), of_instance) == 0);
    c.purge_lru = 1;
    unsigned died = 0;
    for (int round = 0; round < kills; round++) {
        pid_t writer = fork();
        CHECK(writer >= 0);
        if (!writer)
            write_for_ever(&c, &q, (unsigned)round * 2654435761U);
        struct timespec time = {0, 200000 + (round * 7919L) % 1500000};
        nanosleep(&time, NULL);
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        died += c.head->lock.holder != 0 || q.head->lock.holder != 0;
        CHECK(lock_wait(&c.head->lock, 5000, cache_repair, &c) == LOCK_TAKEN);
        WHOLE(&c);
        for (uint32_t i = cache_next(&c, 0); i; i = cache_next(&c, i)) {
            size_t size;
            const char *value = cache_value(&c, i, &size);
            CHECK(uniform(value, size));
        }
        lock_end(&c.head->lock);
        CHECK(lock_wait(&q.head->lock, 5000, queue_repair, &q) == LOCK_TAKEN);
        check_queue(&q);
        lock_end(&q.head->lock);
    }
    printf("%d writers were killed, %u of them with a lock\n", kills, died);
    CHECK(kills < 100 || died > 0);
}

int main(int argc, char **argv)
{
    const char *plan = argc > 1 ? argv[1] : "";
    if (!strcmp(plan, "kills")) {
        test_kills(argc > 2 ? atoi(argv[2]) : 1000);
        return 0;
    }
    test_cache();
    test_numbers();
    test_expiry();
    test_blocks();
    test_queue();
    test_unfinished();
    test_geometry();
    test_threads();
    test_readers();
    test_without_gil();
    return 0;
}
