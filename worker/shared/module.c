/* The extension module _envoxyd_shared: the uwsgi module's locks, caches, queue and areas, in memory that the master has made.
   There is no Go in it, so that a zygote may load it.

   No lock is held while this thread waits for the GIL: what has to wait for a lock does its work without the GIL. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "cache.h"
#include "metric.h"
#include "queue.h"

#ifndef PyBUF_WRITE
#define PyBUF_WRITE 0x200 /* not in the headers of the limited API before 3.11 */
#endif

enum { TRIES = 200, SLICE_MS = 200, MAX_CACHES = 256 };

struct own_cache {
    struct cache cache;
    int tell_full, tell_freed;
};

static uint64_t instance;
static char *lock_memory;
static long locks; /* of the application's, beside lock 0 */
static struct own_cache caches[MAX_CACHES];
static int cache_count;
static struct queue queue;
static struct area areas[MAX_AREAS];
static int area_count;
static PyObject *elsewhere; /* called with the name of a function and its arguments, for a cache of another instance */
static PyObject *tell;      /* called with what has happened to a cache: its name, and how many items expired; 0: it is full */

/* ---- memory ---- */

/* Maps a file, and makes it as large as it is to be. It stays mapped as long as the process lives. */
static char *map(int fd, uint64_t offset, uint64_t size, int may_grow)
{
    struct stat is;
    if (fstat(fd, &is) < 0)
        return PyErr_SetFromErrno(PyExc_OSError), NULL;
    if (may_grow && (uint64_t)is.st_size < offset + size && ftruncate(fd, (off_t)(offset + size)) < 0)
        return PyErr_SetFromErrno(PyExc_OSError), NULL;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError), NULL;
    madvise(memory, size, MADV_DONTDUMP);
    return memory;
}

/* attach_locks(fd, locks): forgets all that was attached. This comes first. */
static PyObject *attach_locks(PyObject *self, PyObject *args)
{
    (void)self;
    int fd;
    if (!PyArg_ParseTuple(args, "il", &fd, &locks))
        return NULL;
    cache_count = area_count = 0;
    queue.head = NULL;
    lock_memory = map(fd, 0, LOCKS_OFFSET + (uint64_t)(locks + 1) * sizeof(struct lock), 1);
    if (!lock_memory)
        return NULL;
    struct locks_head *head = (struct locks_head *)lock_memory;
    if (head->magic != LOCKS_MAGIC) {
        if (getrandom(&head->instance, sizeof head->instance, 0) != sizeof head->instance)
            return PyErr_SetFromErrno(PyExc_OSError);
        head->magic = LOCKS_MAGIC;
    }
    instance = head->instance;
    for (long i = 0; i <= locks; i++) {
        struct lock *lock = (struct lock *)(lock_memory + LOCKS_OFFSET) + i;
        if (!lock->made && (errno = lock_make(lock)))
            return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyObject *attach_cache(PyObject *self, PyObject *args)
{
    (void)self;
    int fd;
    const char *name;
    struct cache_geometry g;
    struct own_cache *own = &caches[cache_count];
    struct cache *c = &own->cache;
    if (cache_count == MAX_CACHES)
        return PyErr_SetString(PyExc_ValueError, "too many caches"), NULL;
    if (!PyArg_ParseTuple(args, "is(KKKKKK)LIppppppp", &fd, &name, &g.items, &g.blocks, &g.block_size, &g.key_size, &g.hash_size,
                          &g.bitmap, &c->math_initial, &c->sweep_seconds, &c->purge_lru, &c->lazy_expire, &c->no_expire,
                          &c->clear_on_full, &c->last_modified, &own->tell_full, &own->tell_freed))
        return NULL;
    uint64_t size = cache_memory(&g);
    if (!size)
        return PyErr_Format(PyExc_ValueError, "cache \"%s\": no memory is that large", name);
    char *memory = map(fd, 0, size, 1);
    if (!memory)
        return NULL;
    if (cache_attach(c, &g, memory, instance) < 0)
        return PyErr_Format(PyExc_ValueError, "cache \"%s\": its memory is another cache's", name);
    if (!(c->name = strdup(name)))
        return PyErr_NoMemory();
    cache_count++;
    Py_RETURN_NONE;
}

static PyObject *attach_queue(PyObject *self, PyObject *args)
{
    (void)self;
    int fd;
    unsigned long long slots, block_size;
    if (!PyArg_ParseTuple(args, "iKK", &fd, &slots, &block_size))
        return NULL;
    uint64_t size = queue_memory(slots, block_size);
    if (!size)
        return PyErr_SetString(PyExc_ValueError, "queue: no memory is that large"), NULL;
    char *memory = map(fd, 0, size, 1);
    if (!memory)
        return NULL;
    if (queue_attach(&queue, slots, block_size, memory, instance) < 0)
        return PyErr_SetString(PyExc_ValueError, "queue: its memory is another queue's"), NULL;
    Py_RETURN_NONE;
}

/* attach_area(fd, offset, size, may_grow) -> its number */
static PyObject *attach_area(PyObject *self, PyObject *args)
{
    (void)self;
    int fd, may_grow;
    unsigned long long offset, size;
    if (!PyArg_ParseTuple(args, "iKKp", &fd, &offset, &size, &may_grow))
        return NULL;
    if (area_count == MAX_AREAS)
        return PyErr_SetString(PyExc_ValueError, "too many shared areas"), NULL;
    struct area *area = &areas[area_count];
    area->head = (struct area_head *)(lock_memory + HEAD_SIZE + (uint64_t)area_count * AREA_STRIDE);
    area->size = size;
    if (!(area->bytes = map(fd, offset, size, may_grow)))
        return NULL;
    if ((errno = area_make(area->head)))
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(area_count++);
}

/* call_back(elsewhere, tell) */
static PyObject *call_back(PyObject *self, PyObject *args)
{
    (void)self;
    if (!PyArg_ParseTuple(args, "OO", &elsewhere, &tell))
        return NULL;
    Py_INCREF(elsewhere);
    Py_INCREF(tell);
    Py_RETURN_NONE;
}

/* ---- work under a lock ---- */

/* What there is to do; gil: whether this thread has the GIL. */
typedef void (*work_function)(void *of, void *call, int gil);

/* Raises what a lock has come to; 0 if nothing is wrong. After LOCK_BUSY the caller tries again. */
static int wrong(enum lock_result result)
{
    if (result == LOCK_TAKEN)
        return 0;
    if (result == LOCK_BUSY)
        return PyErr_CheckSignals();
    PyErr_SetString(PyExc_RuntimeError, result == LOCK_MINE_ALREADY ? "this thread has the lock already" : "the lock is broken");
    return -1;
}

static int with_lock(struct lock *lock, repair_function repair, void *of, work_function work, void *call)
{
    enum lock_result result = lock_try(lock, TRIES, repair, of);
    if (result == LOCK_TAKEN) {
        work(of, call, 1);
        lock_end(lock);
        return 0;
    }
    do {
        Py_BEGIN_ALLOW_THREADS
        result = lock_wait(lock, SLICE_MS, repair, of);
        if (result == LOCK_TAKEN) {
            work(of, call, 0);
            lock_end(lock);
        }
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return -1;
    } while (result == LOCK_BUSY);
    return 0;
}

/* Bytes that were copied while a lock was held. */
struct piece {
    char *bytes; /* NULL: there are none */
    size_t size;
};

struct pieces {
    struct piece *are;
    size_t count, room;
    int failed; /* for want of memory */
};

static void add_piece(struct pieces *to, const char *bytes, size_t size)
{
    if (to->count == to->room) {
        size_t room = to->room ? 2 * to->room : 16;
        struct piece *more = realloc(to->are, room * sizeof *more);
        if (!more) {
            to->failed = 1;
            return;
        }
        to->are = more;
        to->room = room;
    }
    char *copy = bytes ? malloc(size) : NULL;
    if (bytes && !copy)
        to->failed = 1;
    else if (bytes)
        memcpy(copy, bytes, size);
    to->are[to->count++] = (struct piece){copy, size};
}

static PyObject *piece_as_bytes(const struct piece *piece)
{
    if (piece->bytes)
        return PyBytes_FromStringAndSize(piece->bytes, (Py_ssize_t)piece->size);
    Py_RETURN_NONE;
}

/* The pieces as a list, or one alone as it is; they are gone then. */
static PyObject *give_pieces(struct pieces *pieces, int as_list)
{
    PyObject *given = NULL;
    if (pieces->failed)
        PyErr_NoMemory();
    else if (!as_list)
        given = piece_as_bytes(pieces->are);
    else
        given = PyList_New((Py_ssize_t)pieces->count);
    for (size_t i = 0; i < pieces->count; i++) {
        PyObject *item = as_list && given ? piece_as_bytes(&pieces->are[i]) : NULL;
        if (item)
            PyList_SetItem(given, (Py_ssize_t)i, item);
        else if (as_list)
            Py_CLEAR(given);
        free(pieces->are[i].bytes);
    }
    free(pieces->are);
    return given;
}

/* ---- locks ---- */

static struct lock *lock_of(PyObject *args)
{
    long number = 0;
    if (!PyArg_ParseTuple(args, "|l", &number))
        return NULL;
    if (number < 0 || number > locks)
        return PyErr_SetString(PyExc_ValueError, "invalid lock number"), NULL;
    return (struct lock *)(lock_memory + LOCKS_OFFSET) + number;
}

static PyObject *take_lock(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    if (!lock)
        return NULL;
    enum lock_result result = lock_try(lock, 1, NULL, NULL);
    while (result != LOCK_TAKEN) {
        Py_BEGIN_ALLOW_THREADS
        result = lock_wait(lock, SLICE_MS, NULL, NULL);
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *release_lock(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    if (!lock)
        return NULL;
    lock_release(lock);
    Py_RETURN_NONE;
}

static PyObject *is_locked(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    return lock ? PyBool_FromLong(lock_held(lock)) : NULL;
}

/* ---- caches ---- */

enum cache_operation { GET, SET, UPDATE, DEL, EXISTS, CLEAR, NUM, KEYS, INC, DEC, MUL, DIV };

struct cache_call {
    enum cache_operation operation;
    const char *key, *value;
    Py_ssize_t key_size, size;
    long long by, seconds;
    int done; /* for True */
    int full;
    long long number;
    PyObject *bytes;
    struct pieces pieces;
};

static void work_on_cache(void *of, void *argument, int gil)
{
    struct cache *c = of;
    struct cache_call *call = argument;
    const char *key = call->key;
    size_t key_size = (size_t)call->key_size, size;
    enum cache_result result = CACHE_DONE;
    uint32_t item;
    switch (call->operation) {
    case GET:
    case NUM:
        if (!(item = cache_get(c, key, key_size)))
            return;
        const char *value = cache_value(c, item, &size);
        if (call->operation == NUM && size == sizeof call->number)
            memcpy(&call->number, value, size);
        else if (call->operation == GET && gil)
            call->bytes = PyBytes_FromStringAndSize(value, (Py_ssize_t)size);
        else if (call->operation == GET)
            add_piece(&call->pieces, value, size);
        break;
    case SET:
    case UPDATE:
        result = cache_store(c, key, key_size, call->value, (size_t)call->size, call->seconds, call->operation == UPDATE);
        break;
    case DEL:
        result = cache_delete(c, key, key_size);
        break;
    case EXISTS:
        result = cache_exists(c, key, key_size) ? CACHE_DONE : CACHE_ABSENT;
        break;
    case CLEAR:
        cache_clear(c);
        break;
    case KEYS:
        for (item = cache_next(c, 0); item; item = cache_next(c, item)) {
            key = cache_key(c, item, &size);
            add_piece(&call->pieces, key, size);
        }
        break;
    default:
        result = cache_calculate(c, key, key_size, (enum cache_math)(call->operation - INC), call->by, call->seconds);
    }
    call->done = result == CACHE_DONE;
    call->full = result == CACHE_FULL;
}

static struct own_cache *cache_named(const char *name)
{
    if (!name || !*name)
        return cache_count ? &caches[0] : NULL;
    for (int i = 0; i < cache_count; i++)
        if (!strcmp(caches[i].cache.name, name))
            return &caches[i];
    return NULL;
}

/* Tells what is to be told of a cache; an exception is the caller's. */
static int tell_of(struct own_cache *own, const struct cache_call *call)
{
    unsigned long long freed = 0;
    if (own->tell_freed && own->cache.head->freed)
        freed = __atomic_exchange_n(&own->cache.head->freed, 0, __ATOMIC_RELAXED);
    if (!freed && !(call->full && own->tell_full))
        return 0;
    PyObject *nothing = PyObject_CallFunction(tell, "sK", own->cache.name, freed);
    Py_XDECREF(nothing);
    return nothing ? 0 : -1;
}

static PyObject *cache_answer(struct cache_call *call, int there)
{
    switch (call->operation) {
    case GET:
        if (call->bytes || !call->done)
            break;
        return call->pieces.count || call->pieces.failed ? give_pieces(&call->pieces, 0) : NULL;
    case NUM:
        return PyLong_FromLongLong(call->number);
    case KEYS:
        if (!there)
            return PyErr_SetString(PyExc_ValueError, "no such cache"), NULL;
        return give_pieces(&call->pieces, 1);
    default:
        if (call->done)
            Py_RETURN_TRUE;
    }
    if (call->bytes)
        return call->bytes;
    Py_RETURN_NONE;
}

static PyMethodDef cache_functions[DIV + 1];

/* All functions of caches; self is the operation. */
static PyObject *cache_function(PyObject *self, PyObject *args)
{
    enum cache_operation operation = (enum cache_operation)PyLong_AsLong(self);
    struct cache_call call = {.operation = operation, .by = operation >= MUL ? 2 : 1};
    const char *name = NULL;
    int parsed;
    if (operation == SET || operation == UPDATE)
        parsed = PyArg_ParseTuple(args, "s#s#|Lz", &call.key, &call.key_size, &call.value, &call.size, &call.seconds, &name);
    else if (operation == CLEAR || operation == KEYS)
        parsed = PyArg_ParseTuple(args, "|z", &name);
    else if (operation >= INC)
        parsed = PyArg_ParseTuple(args, "s#|LLz", &call.key, &call.key_size, &call.by, &call.seconds, &name);
    else
        parsed = PyArg_ParseTuple(args, "s#|z", &call.key, &call.key_size, &name);
    if (!parsed)
        return NULL;
    if (name && strchr(name, '@'))
        return PyObject_CallFunction(elsewhere, "sO", cache_functions[operation].ml_name, args);
    struct own_cache *own = cache_named(name);
    if (own) {
        struct cache *c = &own->cache;
        if (with_lock(&c->head->lock, cache_repair, c, work_on_cache, &call) < 0)
            return NULL;
        if (tell_of(own, &call) < 0) {
            Py_XDECREF(call.bytes);
            return NULL;
        }
    }
    return cache_answer(&call, own != NULL);
}

#define FUNCTION(name, function) {name, function, METH_VARARGS, NULL}

static PyMethodDef cache_functions[DIV + 1] = {
    [GET] = FUNCTION("cache_get", cache_function),     [SET] = FUNCTION("cache_set", cache_function),
    [UPDATE] = FUNCTION("cache_update", cache_function), [DEL] = FUNCTION("cache_del", cache_function),
    [EXISTS] = FUNCTION("cache_exists", cache_function), [CLEAR] = FUNCTION("cache_clear", cache_function),
    [NUM] = FUNCTION("cache_num", cache_function),     [KEYS] = FUNCTION("cache_keys", cache_function),
    [INC] = FUNCTION("cache_inc", cache_function),     [DEC] = FUNCTION("cache_dec", cache_function),
    [MUL] = FUNCTION("cache_mul", cache_function),     [DIV] = FUNCTION("cache_div", cache_function),
};

/* ---- queue ---- */

enum queue_operation { PUSH, PULL, POP, READ, WRITE, LAST, SLOT, PULL_SLOT };

struct queue_call {
    enum queue_operation operation;
    const char *message;
    Py_ssize_t size;
    long long slot; /* LAST: how many */
    unsigned long long at;
    int done;
    struct pieces pieces;
};

static void read_slot(struct queue *q, struct queue_call *call, uint64_t slot)
{
    size_t size = 0;
    const char *message = queue_get(q, slot, &size);
    add_piece(&call->pieces, message, size);
}

static void work_on_queue(void *of, void *argument, int gil)
{
    (void)gil;
    struct queue *q = of;
    struct queue_call *call = argument;
    switch (call->operation) {
    case PUSH:
        call->done = queue_push(q, call->message, (size_t)call->size);
        break;
    case WRITE:
        call->done = queue_set(q, (uint64_t)call->slot, call->message, (size_t)call->size);
        break;
    case READ:
        read_slot(q, call, (uint64_t)call->slot);
        break;
    case PULL:
        read_slot(q, call, queue_first(q));
        if (call->pieces.are && call->pieces.are->bytes)
            queue_drop_first(q);
        break;
    case POP:
        read_slot(q, call, queue_last(q));
        queue_drop_last(q);
        break;
    case LAST:
        for (uint64_t i = 0, slot = queue_last(q); i < (uint64_t)call->slot; i++, slot = (slot ? slot : q->count) - 1)
            read_slot(q, call, slot);
        break;
    case SLOT:
        call->at = q->head->position;
        break;
    case PULL_SLOT:
        call->at = queue_first(q);
        break;
    }
}

/* All functions of the queue; self is the operation. */
static PyObject *queue_function(PyObject *self, PyObject *args)
{
    enum queue_operation operation = (enum queue_operation)PyLong_AsLong(self);
    struct queue_call call = {.operation = operation};
    int as_list = 0;
    if (!(operation == PUSH    ? PyArg_ParseTuple(args, "s#", &call.message, &call.size)
          : operation == WRITE ? PyArg_ParseTuple(args, "Ls#", &call.slot, &call.message, &call.size)
          : operation == READ  ? PyArg_ParseTuple(args, "L", &call.slot)
          : operation == LAST  ? PyArg_ParseTuple(args, "|L", &call.slot)
                               : PyArg_ParseTuple(args, "")))
        return NULL;
    if (operation == LAST) {
        as_list = call.slot > 0;
        call.slot = call.slot < 1 ? 1 : (uint64_t)call.slot > queue.count ? (long long)queue.count : call.slot;
    }
    if (with_lock(&queue.head->lock, queue_repair, &queue, work_on_queue, &call) < 0)
        return NULL;
    if (operation == SLOT || operation == PULL_SLOT)
        return PyLong_FromUnsignedLongLong(call.at);
    if (operation != PUSH && operation != WRITE)
        return give_pieces(&call.pieces, as_list);
    if (call.done)
        Py_RETURN_TRUE;
    Py_RETURN_NONE;
}

static PyMethodDef queue_functions[] = {
    [PUSH] = FUNCTION("queue_push", queue_function), [PULL] = FUNCTION("queue_pull", queue_function),
    [POP] = FUNCTION("queue_pop", queue_function),   [READ] = FUNCTION("queue_get", queue_function),
    [WRITE] = FUNCTION("queue_set", queue_function), [LAST] = FUNCTION("queue_last", queue_function),
    [SLOT] = FUNCTION("queue_slot", queue_function), [PULL_SLOT] = FUNCTION("queue_pull_slot", queue_function),
};

/* ---- areas ---- */

static struct area *area_of(long number)
{
    if (number < 0 || number >= area_count)
        return PyErr_SetString(PyExc_ValueError, "no such shared area"), NULL;
    return &areas[number];
}

static struct area *area_alone(PyObject *args)
{
    long number;
    return PyArg_ParseTuple(args, "l", &number) ? area_of(number) : NULL;
}

static PyObject *area_memory(PyObject *self, PyObject *args)
{
    (void)self;
    struct area *area = area_alone(args);
    return area ? PyMemoryView_FromMemory(area->bytes, (Py_ssize_t)area->size, PyBUF_WRITE) : NULL;
}

static PyObject *area_lock(struct area *area, int write)
{
    enum lock_result result;
    int taken = 0;
    do {
        Py_BEGIN_ALLOW_THREADS
        result = write ? area_write_lock(area, &taken, SLICE_MS) : area_read_lock(area, SLICE_MS);
        Py_END_ALLOW_THREADS
        if (wrong(result)) {
            while (taken)
                lock_release(&area->head->readers[--taken]);
            return NULL;
        }
    } while (result == LOCK_BUSY);
    Py_RETURN_NONE;
}

static PyObject *area_rlock(PyObject *self, PyObject *args)
{
    (void)self;
    struct area *area = area_alone(args);
    return area ? area_lock(area, 0) : NULL;
}

static PyObject *area_wlock(PyObject *self, PyObject *args)
{
    (void)self;
    struct area *area = area_alone(args);
    return area ? area_lock(area, 1) : NULL;
}

static PyObject *area_release(PyObject *self, PyObject *args)
{
    (void)self;
    struct area *area = area_alone(args);
    if (!area)
        return NULL;
    area_unlock(area);
    Py_RETURN_NONE;
}

/* area_sum(number, position, by, bytes): adds to an integer. */
static PyObject *area_sum(PyObject *self, PyObject *args)
{
    (void)self;
    long number;
    long long at, by;
    int bytes;
    struct area *area;
    if (!PyArg_ParseTuple(args, "lLLi", &number, &at, &by, &bytes) || !(area = area_of(number)))
        return NULL;
    if (at < 0 || (uint64_t)at > area->size || area->size - (uint64_t)at < (uint64_t)bytes)
        return PyErr_SetString(PyExc_ValueError, "out of the shared area"), NULL;
    enum lock_result result;
    do {
        Py_BEGIN_ALLOW_THREADS
        result = area_add(area, (uint64_t)at, by, bytes, SLICE_MS);
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return NULL;
    } while (result == LOCK_BUSY);
    area_changed(area);
    Py_RETURN_NONE;
}

static PyObject *area_update(PyObject *self, PyObject *args)
{
    (void)self;
    struct area *area = area_alone(args);
    if (!area)
        return NULL;
    area_changed(area);
    Py_RETURN_NONE;
}

/* area_await(number, changes, milliseconds) -> the number of changes; it waits while that is what was given. */
static PyObject *area_await(PyObject *self, PyObject *args)
{
    (void)self;
    long number;
    unsigned int changes;
    int milliseconds;
    struct area *area;
    if (!PyArg_ParseTuple(args, "lIi", &number, &changes, &milliseconds) || !(area = area_of(number)))
        return NULL;
    if (milliseconds > 0) {
        Py_BEGIN_ALLOW_THREADS
        area_wait(area, changes, milliseconds);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0)
            return NULL;
    }
    return PyLong_FromUnsignedLong(__atomic_load_n(&area->head->updates, __ATOMIC_SEQ_CST));
}

/* ---- module ---- */

static PyMethodDef functions[] = {
    FUNCTION("attach_locks", attach_locks),
    FUNCTION("attach_cache", attach_cache),
    FUNCTION("attach_queue", attach_queue),
    FUNCTION("attach_area", attach_area),
    FUNCTION("attach_metrics", metric_attach),
    FUNCTION("metric", metric_change),
    FUNCTION("call_back", call_back),
    FUNCTION("lock", take_lock),
    FUNCTION("unlock", release_lock),
    FUNCTION("is_locked", is_locked),
    FUNCTION("area_memory", area_memory),
    FUNCTION("area_rlock", area_rlock),
    FUNCTION("area_wlock", area_wlock),
    FUNCTION("area_release", area_release),
    FUNCTION("area_sum", area_sum),
    FUNCTION("area_update", area_update),
    FUNCTION("area_await", area_await),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_envoxyd_shared", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__envoxyd_shared(void);

/* Adds functions that have their number as self. */
static int add_numbered(PyObject *to, PyMethodDef *methods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *number = PyLong_FromSize_t(i);
        PyObject *function = number ? PyCFunction_NewEx(&methods[i], number, NULL) : NULL;
        Py_XDECREF(number);
        if (!function || PyModule_AddObject(to, methods[i].ml_name, function) < 0) {
            Py_XDECREF(function);
            return -1;
        }
    }
    return 0;
}

PyMODINIT_FUNC PyInit__envoxyd_shared(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && (add_numbered(made, cache_functions, sizeof cache_functions / sizeof *cache_functions) < 0 ||
                 add_numbered(made, queue_functions, sizeof queue_functions / sizeof *queue_functions) < 0))
        Py_CLEAR(made);
    return made;
}
