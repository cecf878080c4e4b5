/* From a uwsgi variable block to the environ dict. */
#include "wsgi.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 1024      /* names that are cached; a power of two */
#define SLOTS_USED 768  /* beyond that, names are not kept: clients make them up */
#define VALUE_KEPT 256  /* longest value that is kept for reuse */

/* A name as an interned str, and the last value seen under it: Host, method,
 * user agent and the like are the same in most requests. */
typedef struct {
    uint32_t hash;
    uint16_t name_len;
    uint16_t value_len;
    int ours; /* what is said under this name on the wire is not taken */
    char *name;
    PyObject *key;
    PyObject *value;
    char *text;
} slot;

static slot *slots;
static int slots_used;
static PyObject *url_scheme, *https, *wsgi_input, *input_terminated;

int environ_init(void)
{
    slots = calloc(SLOTS, sizeof(slot));
    url_scheme = PyUnicode_InternFromString("wsgi.url_scheme");
    https = PyUnicode_InternFromString("https");
    wsgi_input = PyUnicode_InternFromString("wsgi.input");
    input_terminated = PyUnicode_InternFromString("wsgi.input_terminated");
    if (!slots)
        PyErr_NoMemory();
    return slots && url_scheme && https && wsgi_input && input_terminated ? 0 : -1;
}

/* Names that the server alone sets: a peer's wsgi.errors or wsgi.url_scheme would replace ours. */
static int is_ours(const uint8_t *name, uint16_t size)
{
    return (size >= 5 && !memcmp(name, "wsgi.", 5)) || (size >= 6 && !memcmp(name, "uwsgi.", 6));
}

/* Of the first and the last eight bytes and the size: they tell the names of headers apart, and comparing does the rest. */
static uint32_t hash_of(const uint8_t *name, uint16_t size)
{
    uint64_t first = 0, last = 0;
    if (size >= 8) {
        memcpy(&first, name, 8);
        memcpy(&last, name + size - 8, 8);
    } else {
        memcpy(&first, name, size);
    }
    uint64_t hash = (first ^ size) * 0x9E3779B97F4A7C15u ^ last * 0xC2B2AE3D27D4EB4Fu;
    return (uint32_t)((hash * 0x9E3779B97F4A7C15u) >> 32);
}

static slot *find(const uint8_t *name, uint16_t size)
{
    uint32_t hash = hash_of(name, size);
    for (uint32_t i = hash;; i++) {
        slot *s = &slots[i & (SLOTS - 1)];
        if (s->key) {
            if (s->hash == hash && s->name_len == size && !memcmp(s->name, name, size))
                return s;
            continue;
        }
        if (slots_used >= SLOTS_USED)
            return NULL;
        char *copy = malloc(size ? size : 1), *text = malloc(VALUE_KEPT);
        PyObject *key = PyUnicode_DecodeLatin1((const char *)name, size, NULL);
        if (!copy || !text || !key) {
            free(copy);
            free(text);
            Py_XDECREF(key);
            PyErr_Clear();
            return NULL;
        }
        PyUnicode_InternInPlace(&key);
        memcpy(copy, name, size);
        *s = (slot){.hash = hash, .name_len = size, .ours = is_ours(name, size), .name = copy, .key = key, .text = text};
        slots_used++;
        return s;
    }
}

/* A new reference to the value as str; the slot's own when it is the same text. */
static PyObject *value_of(slot *s, const uint8_t *text, uint16_t size)
{
    if (s->value && s->value_len == size && !memcmp(s->text, text, size)) {
        Py_INCREF(s->value);
        return s->value;
    }
    PyObject *value = PyUnicode_DecodeLatin1((const char *)text, size, NULL);
    if (value && size <= VALUE_KEPT) {
        memcpy(s->text, text, size);
        s->value_len = size;
        PyObject *old = s->value;
        Py_INCREF(value);
        s->value = value;
        Py_XDECREF(old);
    }
    return value;
}

static int add(PyObject *environ, const uint8_t *name, uint16_t name_len, const uint8_t *text, uint16_t size)
{
    slot *s = find(name, name_len);
    if (s ? s->ours : is_ours(name, name_len))
        return 0;
    if (s) {
        PyObject *value = value_of(s, text, size);
        int failed = !value || PyDict_SetItem(environ, s->key, value) < 0;
        Py_XDECREF(value);
        return failed ? -1 : 0;
    }
    PyObject *key = PyUnicode_DecodeLatin1((const char *)name, name_len, NULL);
    PyObject *value = PyUnicode_DecodeLatin1((const char *)text, size, NULL);
    int failed = !key || !value || PyDict_SetItem(environ, key, value) < 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

/* The block was checked by Go: every length in it is within it. */
PyObject *environ_build(core_t *core)
{
    core_io *io = core->io;
    PyObject *environ = PyDict_Copy(core->base);
    if (!environ)
        return NULL;
    const uint8_t *at = io->vars, *end = at + io->vars_len;
    while (at < end) {
        uint16_t name_len = (uint16_t)(at[0] | at[1] << 8);
        const uint8_t *name = at + 2;
        at = name + name_len;
        uint16_t size = (uint16_t)(at[0] | at[1] << 8);
        const uint8_t *text = at + 2;
        at = text + size;
        if (add(environ, name, name_len, text, size) < 0)
            goto failed;
    }
    if (io->flags & REQ_HTTPS && PyDict_SetItem(environ, url_scheme, https) < 0)
        goto failed;
    if (io->flags & REQ_TERMINATED && PyDict_SetItem(environ, input_terminated, Py_True) < 0)
        goto failed;
    core->input = input_new(core);
    if (!core->input || PyDict_SetItem(environ, wsgi_input, core->input) < 0)
        goto failed;
    return environ;
failed:
    Py_DECREF(environ);
    return NULL;
}
