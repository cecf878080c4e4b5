/* What the parts of the extension module _envoxyd_shared have in common. No lock is held while a thread waits for the GIL: what
   has to wait for a lock does its work without the GIL. */
#pragma once
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include "lock.h"

enum { TRIES = 30, SLICE_MS = 200 }; /* to take a lock with the GIL held; of a wait, after which signals are handled */

#define FUNCTION(name, function) {name, function, METH_VARARGS, NULL}
#define NO_MORE {NULL, NULL, 0, NULL}

/* The module, once it is made. */
extern PyObject *extension;

/* The functions of each part; self is the place in the list. */
extern PyMethodDef lock_functions[], cache_functions[], queue_functions[], area_functions[], metric_functions[];

/* Maps a file, and makes it as large as it is to be. It stays mapped as long as the process lives. Size 0: no memory is that large. */
char *map_file(int fd, uint64_t offset, uint64_t size, int may_grow);

/* What there is to do under a lock; gil: whether this thread has the GIL. */
typedef void (*work_function)(void *of, void *call, int gil);

/* Does it; -1: a signal's handler has raised an exception before. Without work the lock is kept. */
int with_lock(struct lock *lock, repair_function repair, void *of, work_function work, void *call);

/* Raises what a lock has come to; 0 if nothing is wrong. After LOCK_BUSY the caller tries again. */
int wrong(enum lock_result result);

/* Bytes that were copied while a lock was held. */
struct pieces {
    char *bytes; /* of each: its size, and what it is */
    size_t used, room;
    int failed; /* for want of memory */
};

/* Size 0: there is nothing, which is None. */
void add_piece(struct pieces *to, const char *bytes, size_t size);

/* The pieces as a list; they are gone then. */
PyObject *give_pieces(struct pieces *pieces);

/* Where locks and the heads of areas are, and how many areas have been attached since that was. */
extern char *lock_memory;
extern int area_count;
