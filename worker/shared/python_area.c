/* What sharedarea_memoryview and its kin are made of: uwsgi_module/sharedarea.py. */
#include "module.h"

#include <errno.h>

#include "area.h"

#ifndef PyBUF_WRITE
#define PyBUF_WRITE 0x200 /* not in the headers of the limited API before 3.11 */
#endif

static struct area areas[MAX_AREAS];
static int area_count;

void forget_areas(void) { area_count = 0; }

/* attach_area(fd, offset, size, may_grow) -> its number */
static PyObject *attach_area(PyObject *self, PyObject *args)
{
    (void)self;
    int fd, may_grow;
    unsigned long long offset, size;
    if (!PyArg_ParseTuple(args, "iKKp", &fd, &offset, &size, &may_grow))
        return NULL;
    if (area_count == MAX_AREAS)
        return PyErr_SetString(PyExc_ValueError, "too many shared areas"), NULL;
    struct area *area = &areas[area_count];
    area->head = (struct area_head *)(area_heads() + (uint64_t)area_count * AREA_STRIDE);
    area->size = size;
    if (!(area->bytes = map_file(fd, offset, size, may_grow)))
        return NULL;
    if ((errno = area_make(area->head)))
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(area_count++);
}

static struct area *area_of(long number)
{
    if (number < 0 || number >= area_count)
        return PyErr_SetString(PyExc_ValueError, "no such shared area"), NULL;
    return &areas[number];
}

static PyObject *area_lock(struct area *area, int write)
{
    enum lock_result result;
    int taken = 0;
    do {
        Py_BEGIN_ALLOW_THREADS
        result = write ? area_write_lock(area, &taken, SLICE_MS) : area_read_lock(area, SLICE_MS);
        Py_END_ALLOW_THREADS
        if (wrong(result)) {
            while (taken)
                lock_release(&area->head->readers[--taken]);
            return NULL;
        }
    } while (result == LOCK_BUSY);
    Py_RETURN_NONE;
}

enum area_operation { MEMORY, READ_LOCK, WRITE_LOCK, UNLOCK, UPDATE };

/* Functions of an area alone; self is the operation. */
static PyObject *area_function(PyObject *self, PyObject *args)
{
    long number;
    struct area *area;
    if (!PyArg_ParseTuple(args, "l", &number) || !(area = area_of(number)))
        return NULL;
    switch ((enum area_operation)PyLong_AsLong(self)) {
    case MEMORY:
        return PyMemoryView_FromMemory(area->bytes, (Py_ssize_t)area->size, PyBUF_WRITE);
    case READ_LOCK:
        return area_lock(area, 0);
    case WRITE_LOCK:
        return area_lock(area, 1);
    case UNLOCK:
        area_unlock(area);
        break;
    case UPDATE:
        area_changed(area);
    }
    Py_RETURN_NONE;
}

static PyMethodDef numbered[] = {
    [MEMORY] = FUNCTION("area_memory", area_function),    [READ_LOCK] = FUNCTION("area_rlock", area_function),
    [WRITE_LOCK] = FUNCTION("area_wlock", area_function), [UNLOCK] = FUNCTION("area_release", area_function),
    [UPDATE] = FUNCTION("area_update", area_function),
};

/* area_sum(number, position, by, bytes): adds to an integer. */
static PyObject *area_sum(PyObject *self, PyObject *args)
{
    (void)self;
    long number;
    long long at, by;
    int bytes;
    struct area *area;
    if (!PyArg_ParseTuple(args, "lLLi", &number, &at, &by, &bytes) || !(area = area_of(number)))
        return NULL;
    if (at < 0 || (uint64_t)at > area->size || area->size - (uint64_t)at < (uint64_t)bytes)
        return PyErr_SetString(PyExc_ValueError, "out of the shared area"), NULL;
    enum lock_result result;
    do {
        Py_BEGIN_ALLOW_THREADS
        result = area_add(area, (uint64_t)at, by, bytes, SLICE_MS);
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return NULL;
    } while (result == LOCK_BUSY);
    area_changed(area);
    Py_RETURN_NONE;
}

/* area_await(number, changes, milliseconds) -> the number of changes; it waits while that is what was given. */
static PyObject *area_await(PyObject *self, PyObject *args)
{
    (void)self;
    long number;
    unsigned int changes;
    int milliseconds;
    struct area *area;
    if (!PyArg_ParseTuple(args, "lIi", &number, &changes, &milliseconds) || !(area = area_of(number)))
        return NULL;
    if (milliseconds > 0) {
        Py_BEGIN_ALLOW_THREADS
        area_wait(area, changes, milliseconds);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0)
            return NULL;
    }
    return PyLong_FromUnsignedLong(__atomic_load_n(&area->head->updates, __ATOMIC_SEQ_CST));
}

static PyMethodDef functions[] = {
    FUNCTION("attach_area", attach_area),
    FUNCTION("area_sum", area_sum),
    FUNCTION("area_await", area_await),
    {NULL, NULL, 0, NULL},
};

int add_areas(PyObject *to)
{
    return PyModule_AddFunctions(to, functions) < 0 ? -1 : add_numbered(to, numbered, COUNT(numbered));
}
