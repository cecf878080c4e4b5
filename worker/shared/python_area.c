/* What sharedarea_memoryview and its kin are made of: uwsgi_module/sharedarea.py. */
#include "module.h"

#include <errno.h>

#include "area.h"

enum { WRITABLE = 0x200 }; /* PyBUF_WRITE, which the headers of the limited API lack before 3.11 */

int area_count;
static struct area areas[MAX_AREAS];

/* attach_area(fd, offset, size, may_grow) -> a memoryview */
static PyObject *attach_area(PyObject *self, PyObject *args)
{
    int fd, may_grow;
    unsigned long long offset, size;
    if (!PyArg_ParseTuple(args, "iKKp", &fd, &offset, &size, &may_grow))
        return NULL;
    if (area_count == MAX_AREAS)
        return PyErr_SetString(PyExc_ValueError, "too many shared areas"), NULL;
    struct area *area = &areas[area_count];
    area->head = (struct area_head *)(lock_memory + HEAD_SIZE + (uint64_t)area_count * AREA_STRIDE);
    area->size = size;
    if (!(area->bytes = map_file(fd, offset, size, may_grow)))
        return NULL;
    if ((errno = area_make(area->head)))
        return PyErr_SetFromErrno(PyExc_OSError);
    area_count++;
    return PyMemoryView_FromMemory(area->bytes, (Py_ssize_t)size, WRITABLE);
}

enum area_operation { UNLOCK, UPDATE, AWAIT, READ_LOCK, WRITE_LOCK, SUM }; /* from READ_LOCK on they may find a lock taken */

/* Does what may find a lock taken; -1: an exception. */
static int take(struct area *area, enum area_operation operation, uint64_t at, int64_t by, int bytes)
{
    enum lock_result result;
    int taken = 0;
    do {
        Py_BEGIN_ALLOW_THREADS
        if (operation == READ_LOCK)
            result = area_read_lock(area, SLICE_MS);
        else if (operation == WRITE_LOCK)
            result = area_write_lock(area, &taken, SLICE_MS);
        else
            result = area_add(area, at, by, bytes, SLICE_MS);
        Py_END_ALLOW_THREADS
        if (wrong(result)) {
            while (taken)
                lock_release(&area->head->readers[--taken]);
            return -1;
        }
    } while (result == LOCK_BUSY);
    return 0;
}

/* All functions of areas; self is the operation. Behind the area's number are, of SUM, position, what is added and the integer's bytes,
   and of AWAIT, the count of changes that is known, and milliseconds. */
static PyObject *area_function(PyObject *self, PyObject *args)
{
    enum area_operation operation = (enum area_operation)PyLong_AsLong(self);
    long number;
    long long at = 0, by = 0;
    int bytes = 0;
    if (!PyArg_ParseTuple(args, "l|LLi", &number, &at, &by, &bytes))
        return NULL;
    if (number < 0 || number >= area_count)
        return PyErr_SetString(PyExc_ValueError, "no such shared area"), NULL;
    struct area *area = &areas[number];
    if (operation == SUM && (at < 0 || (uint64_t)at > area->size || area->size - (uint64_t)at < (uint64_t)bytes))
        return PyErr_SetString(PyExc_ValueError, "out of the shared area"), NULL;
    if (operation >= READ_LOCK && take(area, operation, (uint64_t)at, by, bytes) < 0)
        return NULL;
    if (operation == AWAIT) {
        Py_BEGIN_ALLOW_THREADS
        area_wait(area, (uint32_t)at, (int)by);
        Py_END_ALLOW_THREADS
        return PyLong_FromUnsignedLong(__atomic_load_n(&area->head->updates, __ATOMIC_SEQ_CST));
    }
    if (operation == UNLOCK)
        area_unlock(area);
    if (operation == UPDATE || operation == SUM)
        area_changed(area);
    Py_RETURN_NONE;
}

PyMethodDef area_functions[] = {
    [UNLOCK] = FUNCTION("area_release", area_function),   [UPDATE] = FUNCTION("area_update", area_function),
    [AWAIT] = FUNCTION("area_await", area_function),      [READ_LOCK] = FUNCTION("area_rlock", area_function),
    [WRITE_LOCK] = FUNCTION("area_wlock", area_function), [SUM] = FUNCTION("area_sum", area_function),
    FUNCTION("attach_area", attach_area), NO_MORE,
};
