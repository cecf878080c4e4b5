/* uwsgi.cache_get and its kin. */
#include "module.h"

#include <string.h>

#include "caches.h"

static PyObject *attach_cache(PyObject *self, PyObject *args)
{
    int fd;
    unsigned long long instance;
    const char *name;
    struct cache_geometry g;
    struct cache *c = &caches[cache_count];
    if (cache_count == MAX_CACHES)
        return PyErr_SetString(PyExc_ValueError, "too many caches"), NULL;
    if (!PyArg_ParseTuple(args, "iKs(KKKKKK)LIppppppp", &fd, &instance, &name, &g.items, &g.blocks, &g.block_size, &g.key_size,
                          &g.hash_size, &g.bitmap, &c->math_initial, &c->sweep_seconds, &c->purge_lru, &c->lazy_expire, &c->no_expire,
                          &c->clear_on_full, &c->last_modified, &c->tell_full, &c->tell_freed))
        return NULL;
    char *memory = map_file(fd, 0, cache_memory(&g), 1);
    if (!memory)
        return NULL;
    if (cache_attach(c, &g, memory, instance) < 0)
        return PyErr_SetString(PyExc_ValueError, "it is another cache's"), NULL;
    if (!(c->name = strdup(name)))
        return PyErr_NoMemory();
    cache_count++;
    Py_RETURN_NONE;
}

enum cache_operation { GET, EXISTS, SET, UPDATE, DEL, CLEAR, KEYS, INC, DEC, MUL, DIV }; /* up to SET there may be no need for the lock */

struct cache_call {
    enum cache_operation operation;
    enum cache_result result;
    const char *key, *value;
    Py_ssize_t key_size, size;
    long long by, seconds;
    PyObject *bytes; /* of the value, or a piece where there was no GIL */
    struct pieces pieces;
};

static enum cache_result operate(struct cache *c, struct cache_call *call, int gil)
{
    const char *key = call->key, *value;
    size_t key_size = (size_t)call->key_size, size;
    uint32_t item = 0;
    switch (call->operation) {
    case GET:
        if (!(item = cache_get(c, key, key_size)))
            return CACHE_ABSENT;
        value = cache_value(c, item, &size);
        if (gil)
            call->bytes = PyBytes_FromStringAndSize(value, (Py_ssize_t)size);
        else
            add_piece(&call->pieces, value, size);
        return CACHE_DONE;
    case EXISTS:
        return cache_exists(c, key, key_size) ? CACHE_DONE : CACHE_ABSENT;
    case SET:
    case UPDATE:
        return cache_store(c, key, key_size, call->value, (size_t)call->size, call->seconds, call->operation == UPDATE);
    case DEL:
        return cache_delete(c, key, key_size);
    case CLEAR:
        cache_clear(c);
        return CACHE_DONE;
    case KEYS:
        while ((item = cache_next(c, item))) {
            key = cache_key(c, item, &size);
            add_piece(&call->pieces, key, size);
        }
        return CACHE_DONE;
    default:
        return cache_calculate(c, key, key_size, (enum cache_math)(call->operation - INC), call->by, call->seconds);
    }
}

static void work_on_cache(void *c, void *argument, int gil)
{
    struct cache_call *call = argument;
    cache_begin(c);
    call->result = operate(c, call, gil);
    cache_end(c);
}

static void take_bytes(void *to, const char *value, size_t size, uint64_t expires)
{
    struct cache_call *call = to;
    (void)expires;
    Py_XDECREF(call->bytes);
    call->bytes = PyBytes_FromStringAndSize(value, (Py_ssize_t)size);
}

/* Reads without the lock: 1 if that was possible. */
static int read_freely(struct cache *c, struct cache_call *call)
{
    call->result = cache_read(c, call->key, (size_t)call->key_size, call->operation == GET ? take_bytes : NULL, call);
    if (call->result != CACHE_DONE)
        Py_CLEAR(call->bytes);
    if (call->operation == SET && call->result == CACHE_DONE)
        call->result = CACHE_THERE;
    return call->result != CACHE_FULL && (call->operation != SET || call->result == CACHE_THERE);
}

/* Tells what is to be told of a cache; an exception is the caller's. */
static int tell_of(struct cache *c, const struct cache_call *call)
{
    struct cache_news news = cache_news(c, call->result);
    if (!news.freed && !news.full)
        return 0;
    PyObject *nothing = PyObject_CallMethod(extension, "tell", "sK", c->name, (unsigned long long)news.freed);
    Py_XDECREF(nothing);
    return nothing ? 0 : -1;
}

static PyObject *cache_answer(struct cache_call *call, int there)
{
    if (call->operation == KEYS && !there)
        return PyErr_SetString(PyExc_ValueError, "no such cache"), NULL;
    if (call->operation == KEYS)
        return give_pieces(&call->pieces);
    if (call->result != CACHE_DONE)
        Py_RETURN_NONE;
    if (call->operation != GET)
        Py_RETURN_TRUE;
    if (call->bytes || !(call->pieces.used || call->pieces.failed)) /* NULL: an exception */
        return call->bytes;
    PyObject *list = give_pieces(&call->pieces), *bytes = list ? PySequence_GetItem(list, 0) : NULL;
    Py_XDECREF(list);
    return bytes;
}

/* All functions of caches; self is the operation. uwsgi_module/cache.py has set what is called here: elsewhere, for a cache of
   another instance, and tell. */
static PyObject *cache_function(PyObject *self, PyObject *args)
{
    enum cache_operation operation = (enum cache_operation)PyLong_AsLong(self);
    struct cache_call call = {.operation = operation, .result = CACHE_ABSENT, .by = operation >= MUL ? 2 : 1};
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
        return PyObject_CallMethod(extension, "elsewhere", "sO", cache_functions[operation].ml_name, args);
    struct cache *c = cache_named(name, name ? strlen(name) : 0);
    if (c) {
        int read = operation <= SET && read_freely(c, &call);
        if (!read && with_lock(&c->head->lock, cache_repair, c, work_on_cache, &call) < 0)
            return NULL;
        if (tell_of(c, &call) < 0) {
            Py_XDECREF(call.bytes);
            return NULL;
        }
    }
    return cache_answer(&call, c != NULL);
}

PyMethodDef cache_functions[] = {
    [GET] = FUNCTION("cache_get", cache_function),   [EXISTS] = FUNCTION("cache_exists", cache_function),
    [SET] = FUNCTION("cache_set", cache_function),   [UPDATE] = FUNCTION("cache_update", cache_function),
    [DEL] = FUNCTION("cache_del", cache_function),   [CLEAR] = FUNCTION("cache_clear", cache_function),
    [KEYS] = FUNCTION("cache_keys", cache_function), [INC] = FUNCTION("cache_inc", cache_function),
    [DEC] = FUNCTION("cache_dec", cache_function),   [MUL] = FUNCTION("cache_mul", cache_function),
    [DIV] = FUNCTION("cache_div", cache_function),
    FUNCTION("attach_cache", attach_cache), NO_MORE,
};
