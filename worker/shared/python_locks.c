/* uwsgi.lock and its kin, and the memory that the locks of areas are in, too. */
#include "module.h"

#include <errno.h>

#include "caches.h"

char *lock_memory;
static long locks; /* of the application's, beside lock 0 */

static struct lock *lock_at(long number) { return (struct lock *)(lock_memory + LOCKS_OFFSET) + number; }

/* attach_locks(fd, locks): forgets all that was attached. This comes first. */
static PyObject *attach_locks(PyObject *self, PyObject *args)
{
    int fd;
    if (!PyArg_ParseTuple(args, "il", &fd, &locks))
        return NULL;
    cache_count = area_count = 0;
    if (!(lock_memory = map_file(fd, 0, LOCKS_OFFSET + (uint64_t)(locks + 1) * sizeof(struct lock), 1)))
        return NULL;
    for (long i = 0; i <= locks; i++)
        if (!lock_at(i)->made && (errno = lock_make(lock_at(i))))
            return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

enum lock_operation { LOCK, UNLOCK, IS_LOCKED };

/* All functions of locks; self is the operation. */
static PyObject *lock_function(PyObject *self, PyObject *args)
{
    enum lock_operation operation = (enum lock_operation)PyLong_AsLong(self);
    long number;
    if (!PyArg_ParseTuple(args, "l", &number))
        return NULL;
    if (number < 0 || number > locks)
        return PyErr_SetString(PyExc_ValueError, "invalid lock number"), NULL;
    struct lock *lock = lock_at(number);
    if (operation == IS_LOCKED)
        return PyBool_FromLong(lock_held(lock));
    if (operation == LOCK && with_lock(lock, NULL, NULL, NULL, NULL) < 0)
        return NULL;
    if (operation == UNLOCK)
        lock_release(lock);
    Py_RETURN_NONE;
}

PyMethodDef lock_functions[] = {
    [LOCK] = FUNCTION("lock", lock_function),
    [UNLOCK] = FUNCTION("unlock", lock_function),
    [IS_LOCKED] = FUNCTION("is_locked", lock_function),
    FUNCTION("attach_locks", attach_locks), NO_MORE,
};
