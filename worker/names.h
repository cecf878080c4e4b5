/* Names that come with most requests, each with the last value that was seen under it, as Python objects. */
#ifndef ENVOXYD_NAMES_H
#define ENVOXYD_NAMES_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x03080000
#endif
#include <Python.h>

/* One of them, in a cache line of its own. */
typedef struct {
    uint64_t first, last; /* bytes of the name: eight each, which may overlap */
    uint16_t name_len, value_len;
    int kind;         /* the caller's */
    unsigned changes; /* values in a row that were not found to be the one that is kept */
    char *name, *text;
    PyObject *key;   /* the name, as the table's user makes it; NULL: the slot is free */
    PyObject *value; /* likewise; NULL: none yet */
} __attribute__((aligned(64))) name_t;

typedef struct {
    PyObject *(*make_key)(const char *name, Py_ssize_t size, int *kind);
    PyObject *(*make_value)(const name_t *name, const char *text, Py_ssize_t size);
    name_t *slots;
    int used;
} names_t;

/* One variable of a uwsgi block. */
typedef struct {
    const uint8_t *name, *text;
    uint16_t name_len, size;
} variable_t;

/* Where the next one begins. The block was checked by Go: every length in it is within it. */
static inline const uint8_t *next_variable(const uint8_t *at, variable_t *v)
{
    v->name_len = (uint16_t)(at[0] | at[1] << 8);
    v->name = at + 2;
    at = v->name + v->name_len;
    v->size = (uint16_t)(at[0] | at[1] << 8);
    v->text = at + 2;
    return v->text + v->size;
}

int names_init(names_t *names);

/* NULL, without an exception: the name is not kept. */
name_t *names_find(names_t *names, const uint8_t *name, uint16_t size);

/* A new reference; the same object as the last time when it is the same text. */
PyObject *names_value(names_t *names, name_t *name, const uint8_t *text, uint16_t size);

#endif
