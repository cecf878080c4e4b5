/* The extension module _envoxyd_shared: the uwsgi module's locks, caches, queue and areas, in memory that the master has made.
   There is no Go in it, so that a zygote may load it. */
#include "module.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

char *map_file(int fd, uint64_t offset, uint64_t size, int may_grow)
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

/* ---- work under a lock ---- */

int wrong(enum lock_result result)
{
    if (result == LOCK_TAKEN)
        return 0;
    if (result == LOCK_BUSY)
        return PyErr_CheckSignals();
    PyErr_SetString(PyExc_RuntimeError, result == LOCK_MINE_ALREADY ? "this thread has the lock already" : "the lock is broken");
    return -1;
}

int with_lock(struct lock *lock, repair_function repair, void *of, work_function work, void *call)
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

void add_piece(struct pieces *to, const char *bytes, size_t size)
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

PyObject *give_pieces(struct pieces *pieces, int as_list)
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

/* ---- module ---- */

int add_numbered(PyObject *to, PyMethodDef *methods, size_t count)
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

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_envoxyd_shared", NULL, -1, NULL, NULL, NULL, NULL, NULL};

__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__envoxyd_shared(void); /* said by PyMODINIT_FUNC itself since 3.9 */

PyMODINIT_FUNC PyInit__envoxyd_shared(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && (add_locks(made) < 0 || add_caches(made) < 0 || add_queue(made) < 0 || add_areas(made) < 0 || add_metrics(made) < 0))
        Py_CLEAR(made);
    return made;
}
