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
    void *slots;
    if (posix_memalign(&slots, sizeof *names->slots, SLOTS * sizeof *names->slots)) {
        PyErr_NoMemory();
        return -1;
    }
    names->slots = memset(slots, 0, SLOTS * sizeof *names->slots);
    return 0;
}

/* What fills up to eight bytes, the others being zero. */
static inline uint64_t word(const void *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return word;
}

/* Most names and values are short: a call of memcmp would take longer than this. */
static inline int equal(const void *a, const void *b, size_t size)
{
    if (size > 16)
        return !memcmp(a, b, size);
    if (size >= 8)
        return !((word(a, 8) ^ word(b, 8)) | (word((const char *)a + size - 8, 8) ^ word((const char *)b + size - 8, 8)));
    if (size >= 4)
        return !((word(a, 4) ^ word(b, 4)) | (word((const char *)a + size - 4, 4) ^ word((const char *)b + size - 4, 4)));
    for (size_t i = 0; i < size; i++)
        if (((const char *)a)[i] != ((const char *)b)[i])
            return 0;
    return 1;
}

name_t *names_find(names_t *names, const uint8_t *name, uint16_t size)
{
    uint64_t first, last = 0;
    if (size >= 8) {
        first = word(name, 8);
        last = word(name + size - 8, 8);
    } else {
        first = word(name, size);
    }
    uint64_t hash = ((first ^ size) * 0x9E3779B97F4A7C15u ^ last * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;
    for (uint32_t i = (uint32_t)(hash >> 32);; i++) {
        name_t *slot = &names->slots[i & (SLOTS - 1)];
        if (slot->key) {
            /* both ends are the same: what is left are the bytes between them */
            if (slot->first == first && slot->last == last && slot->name_len == size && (size <= 16 || equal(slot->name + 8, name + 8, size - 16u)))
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
        *slot = (name_t){.first = first, .last = last, .name_len = size, .kind = kind, .name = copy, .key = key, .text = text};
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
    if (counts(slot) && slot->value && slot->value_len == size && equal(slot->text, text, size)) {
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
