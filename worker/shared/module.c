/* The extension module _envoxyd_shared: the uwsgi module's locks, caches, queue and areas, in memory that the master has made.
   There is no Go in it, so that a zygote may load it. */
#include "module.h"
#include "caches.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

char *map_file(int fd, uint64_t offset, uint64_t size, int may_grow)
{
    struct stat is;
    char *memory = MAP_FAILED;
    if (!size)
        return PyErr_SetString(PyExc_ValueError, "no memory is that large"), NULL;
    if (fstat(fd, &is) == 0 && (!may_grow || (uint64_t)is.st_size >= offset + size || ftruncate(fd, (off_t)(offset + size)) == 0))
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
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
    if (result == LOCK_TAKEN && work) {
        work(of, call, 1);
        lock_end(lock);
    }
    while (result != LOCK_TAKEN) {
        Py_BEGIN_ALLOW_THREADS
        result = lock_wait(lock, SLICE_MS, repair, of);
        if (result == LOCK_TAKEN && work) {
            work(of, call, 0);
            lock_end(lock);
        }
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return -1;
    }
    return 0;
}

/* ---- what was copied under one ---- */

void add_piece(struct pieces *to, const char *bytes, size_t size)
{
    size_t used = to->used + sizeof size + size;
    if (used > to->room) {
        size_t room = to->room ? 2 * used : used;
        char *more = realloc(to->bytes, room);
        if (!more) {
            to->failed = 1;
            return;
        }
        to->bytes = more;
        to->room = room;
    }
    memcpy(to->bytes + to->used, &size, sizeof size);
    if (size)
        memcpy(to->bytes + to->used + sizeof size, bytes, size);
    to->used = used;
}

PyObject *give_pieces(struct pieces *pieces)
{
    PyObject *given = pieces->failed ? PyErr_NoMemory() : PyList_New(0);
    const char *at = pieces->bytes, *end = at + pieces->used;
    while (given && at < end) {
        size_t size;
        memcpy(&size, at, sizeof size);
        at += sizeof size;
        PyObject *item = size ? PyBytes_FromStringAndSize(at, (Py_ssize_t)size) : Py_BuildValue("");
        if (!item || PyList_Append(given, item) < 0)
            Py_CLEAR(given);
        Py_XDECREF(item);
        at += size;
    }
    free(pieces->bytes);
    return given;
}

/* ---- module ---- */

PyObject *extension;

/* Adds functions that have their number as self. */
static int add_functions(PyObject *to, PyMethodDef *functions)
{
    for (long i = 0; functions[i].ml_name; i++) {
        PyObject *number = PyLong_FromLong(i);
        PyObject *function = number ? PyCFunction_NewEx(&functions[i], number, NULL) : NULL;
        Py_XDECREF(number);
        if (!function || PyModule_AddObject(to, functions[i].ml_name, function) < 0) {
            Py_XDECREF(function);
            return -1;
        }
    }
    return 0;
}

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_envoxyd_shared", NULL, -1, NULL, NULL, NULL, NULL, NULL};

__attribute__((visibility("default"))) /* said by PyMODINIT_FUNC itself since 3.9 */
PyMODINIT_FUNC PyInit__envoxyd_shared(void)
{
    PyMethodDef *parts[] = {lock_functions, cache_functions, queue_functions, area_functions, metric_functions};
    extension = PyModule_Create(&module);
    for (size_t i = 0; extension && i < sizeof parts / sizeof *parts; i++)
        if (add_functions(extension, parts[i]) < 0)
            Py_CLEAR(extension);
    PyObject *without_gil = extension ? PyCapsule_New((void *)&cache_functions_without_gil, CACHE_FUNCTIONS, NULL) : NULL;
    if (extension && (!without_gil || PyModule_AddObject(extension, "without_gil", without_gil) < 0)) {
        Py_XDECREF(without_gil);
        Py_CLEAR(extension);
    }
    return extension;
}
