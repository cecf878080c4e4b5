/* uwsgi.cache_get and its kin. */
#include "module.h"

#include <string.h>

#include "cache.h"

enum { MAX_CACHES = 256 };

struct own_cache {
    struct cache cache;
    int tell_full, tell_freed;
};

static struct own_cache caches[MAX_CACHES];
static int cache_count;
static PyObject *elsewhere; /* called with the name of a function and its arguments, for a cache of another instance */
static PyObject *tell;      /* called with what has happened to a cache: its name, and how many items expired; 0: it is full */

void forget_caches(void) { cache_count = 0; }

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
        return PyErr_SetString(PyExc_ValueError, "no memory is that large"), NULL;
    char *memory = map_file(fd, 0, size, 1);
    if (!memory)
        return NULL;
    if (cache_attach(c, &g, memory, instance_number()) < 0)
        return PyErr_SetString(PyExc_ValueError, "it is another cache's"), NULL;
    if (!(c->name = strdup(name)))
        return PyErr_NoMemory();
    cache_count++;
    Py_RETURN_NONE;
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

static void operate(struct cache *c, struct cache_call *call, int gil)
{
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

static void work_on_cache(void *of, void *call, int gil)
{
    cache_begin(of);
    operate(of, call, gil);
    cache_end(of);
}

/* Reads without the lock: 1 if that was possible. Who writes is waited for a moment. */
static int read_freely(struct cache *c, struct cache_call *call)
{
    struct cache_peek peek;
    for (int i = 0; i < TRIES; i++) {
        enum cache_result result = cache_peek(c, call->key, (size_t)call->key_size, &peek);
        if (result == CACHE_FULL) {
            if (!(peek.sequence & 1))
                return 0;
            lock_relax();
            continue;
        }
        if (result == CACHE_DONE && call->operation == GET)
            call->bytes = PyBytes_FromStringAndSize(peek.value, (Py_ssize_t)peek.size);
        else if (result == CACHE_DONE && call->operation == NUM && peek.size == sizeof call->number)
            memcpy(&call->number, peek.value, sizeof call->number);
        if (result == CACHE_DONE && !cache_unchanged(c, &peek)) {
            Py_CLEAR(call->bytes);
            call->number = 0;
            continue;
        }
        if (call->operation == SET) /* there is nothing to do where something is */
            return result == CACHE_DONE;
        call->done = result == CACHE_DONE;
        if (call->operation != EXISTS)
            cache_count_read(c, call->done);
        return 1;
    }
    return 0;
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
        int reads = operation == GET || operation == NUM || operation == EXISTS || operation == SET;
        if (!(reads && read_freely(c, &call)) && with_lock(&c->head->lock, cache_repair, c, work_on_cache, &call) < 0)
            return NULL;
        if (tell_of(own, &call) < 0) {
            Py_XDECREF(call.bytes);
            return NULL;
        }
    }
    return cache_answer(&call, own != NULL);
}

static PyMethodDef cache_functions[DIV + 1] = {
    [GET] = FUNCTION("cache_get", cache_function),     [SET] = FUNCTION("cache_set", cache_function),
    [UPDATE] = FUNCTION("cache_update", cache_function), [DEL] = FUNCTION("cache_del", cache_function),
    [EXISTS] = FUNCTION("cache_exists", cache_function), [CLEAR] = FUNCTION("cache_clear", cache_function),
    [NUM] = FUNCTION("cache_num", cache_function),     [KEYS] = FUNCTION("cache_keys", cache_function),
    [INC] = FUNCTION("cache_inc", cache_function),     [DEC] = FUNCTION("cache_dec", cache_function),
    [MUL] = FUNCTION("cache_mul", cache_function),     [DIV] = FUNCTION("cache_div", cache_function),
};

static PyMethodDef functions[] = {
    FUNCTION("attach_cache", attach_cache),
    FUNCTION("call_back", call_back),
    {NULL, NULL, 0, NULL},
};

int add_caches(PyObject *to)
{
    return PyModule_AddFunctions(to, functions) < 0 ? -1 : add_numbered(to, cache_functions, COUNT(cache_functions));
}
