/* A table of names, for environ.c and scope.c: Host, method, user agent and the like are the same in most requests. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 1024      /* names that are cached; a power of two */
#define SLOTS_USED 768  /* beyond that, names are not kept: clients make them up */
#define VALUE_KEPT 256  /* longest value that is kept for reuse */
#define CHANGES 16      /* in a row: the name's values are seldom the same; a power of two */

int names_init(names_t *names)
{
    names->slots = calloc(SLOTS, sizeof *names->slots);
    if (!names->slots)
        PyErr_NoMemory();
    return names->slots ? 0 : -1;
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

name_t *names_find(names_t *names, const uint8_t *name, uint16_t size)
{
    uint32_t hash = hash_of(name, size);
    for (uint32_t i = hash;; i++) {
        name_t *slot = &names->slots[i & (SLOTS - 1)];
        if (slot->key) {
            if (slot->hash == hash && slot->name_len == size && !memcmp(slot->name, name, size))
                return slot;
            continue;
        }
        if (names->used >= SLOTS_USED)
            return NULL;
        int kind = 0;
        char *copy = malloc(size ? size : 1), *text = malloc(VALUE_KEPT);
        PyObject *key = copy && text ? names->make_key((const char *)name, size, &kind) : NULL;
        if (!key) {
            free(copy);
            free(text);
            PyErr_Clear();
            return NULL;
        }
        memcpy(copy, name, size);
        *slot = (name_t){.hash = hash, .name_len = size, .kind = kind, .name = copy, .key = key, .text = text};
        names->used++;
        return slot;
    }
}

/* A value that is kept costs a copy, and the next one cannot have its memory; looking at it costs a cache line, too. traceparent is
 * never the same, so of a name like that only each 16th value is kept, and the next one compared with it. */
static int counts(const name_t *slot)
{
    return slot->changes < CHANGES || slot->changes % CHANGES == 0;
}

PyObject *names_value(names_t *names, name_t *slot, const uint8_t *text, uint16_t size)
{
    if (counts(slot) && slot->value && slot->value_len == size && !memcmp(slot->text, text, size)) {
        if (slot->changes) /* else the line stays clean */
            slot->changes = 0;
        Py_INCREF(slot->value);
        return slot->value;
    }
    PyObject *value = names->make_value(slot, (const char *)text, size);
    slot->changes++;
    if (value && size <= VALUE_KEPT && counts(slot)) {
        memcpy(slot->text, text, size);
        slot->value_len = size;
        PyObject *old = slot->value;
        Py_INCREF(value);
        slot->value = value;
        Py_XDECREF(old);
    }
    return value;
}
