/* What the parts of the extension module _envoxyd_shared have in common. No lock is held while a thread waits for the GIL: what
   has to wait for a lock does its work without the GIL. */
#pragma once
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include "lock.h"

enum { TRIES = 30, SLICE_MS = 200 }; /* to take a lock with the GIL held; of a wait, after which signals are handled */

#define FUNCTION(name, function) {name, function, METH_VARARGS, NULL}
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Maps a file, and makes it as large as it is to be. It stays mapped as long as the process lives. */
char *map_file(int fd, uint64_t offset, uint64_t size, int may_grow);

/* What there is to do under a lock; gil: whether this thread has the GIL. */
typedef void (*work_function)(void *of, void *call, int gil);

/* Does it; -1: a signal's handler has raised an exception before. */
int with_lock(struct lock *lock, repair_function repair, void *of, work_function work, void *call);

/* Raises what a lock has come to; 0 if nothing is wrong. After LOCK_BUSY the caller tries again. */
int wrong(enum lock_result result);

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

void add_piece(struct pieces *to, const char *bytes, size_t size);

/* The pieces as a list, or one alone as it is; they are gone then. */
PyObject *give_pieces(struct pieces *pieces, int as_list);

/* Adds functions that have their number as self. */
int add_numbered(PyObject *to, PyMethodDef *methods, size_t count);

/* The number of the instance, and where the heads of areas are, once the locks are attached. */
uint64_t instance_number(void);
char *area_heads(void);

/* Each part adds its functions to the module, and forgets what was attached. */
int add_locks(PyObject *to);
int add_caches(PyObject *to);
int add_queue(PyObject *to);
int add_areas(PyObject *to);
int add_metrics(PyObject *to);
void forget_caches(void);
void forget_queue(void);
void forget_areas(void);
