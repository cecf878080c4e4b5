/* uwsgi.lock and its kin, and the memory that the locks of areas are in, too. */
#include "module.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t instance;
static char *lock_memory;
static long locks; /* of the application's, beside lock 0 */

uint64_t instance_number(void) { return instance; }
char *area_heads(void) { return lock_memory + HEAD_SIZE; }

/* attach_locks(fd, locks): forgets all that was attached. This comes first. */
static PyObject *attach_locks(PyObject *self, PyObject *args)
{
    (void)self;
    int fd;
    if (!PyArg_ParseTuple(args, "il", &fd, &locks))
        return NULL;
    forget_caches();
    forget_queue();
    forget_areas();
    lock_memory = map_file(fd, 0, LOCKS_OFFSET + (uint64_t)(locks + 1) * sizeof(struct lock), 1);
    if (!lock_memory)
        return NULL;
    struct head *head = (struct head *)lock_memory;
    if (head->magic != LOCKS_MAGIC) {
        if (getrandom(&head->instance, sizeof head->instance, 0) != sizeof head->instance)
            return PyErr_SetFromErrno(PyExc_OSError);
        head->magic = LOCKS_MAGIC;
    }
    instance = head->instance;
    for (long i = 0; i <= locks; i++) {
        struct lock *lock = (struct lock *)(lock_memory + LOCKS_OFFSET) + i;
        if (!lock->made && (errno = lock_make(lock)))
            return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static struct lock *lock_of(PyObject *args)
{
    long number = 0;
    if (!PyArg_ParseTuple(args, "|l", &number))
        return NULL;
    if (number < 0 || number > locks)
        return PyErr_SetString(PyExc_ValueError, "invalid lock number"), NULL;
    return (struct lock *)(lock_memory + LOCKS_OFFSET) + number;
}

static PyObject *take_lock(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    if (!lock)
        return NULL;
    enum lock_result result = lock_try(lock, 1, NULL, NULL);
    while (result != LOCK_TAKEN) {
        Py_BEGIN_ALLOW_THREADS
        result = lock_wait(lock, SLICE_MS, NULL, NULL);
        Py_END_ALLOW_THREADS
        if (wrong(result))
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *release_lock(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    if (!lock)
        return NULL;
    lock_release(lock);
    Py_RETURN_NONE;
}

static PyObject *is_locked(PyObject *self, PyObject *args)
{
    (void)self;
    struct lock *lock = lock_of(args);
    return lock ? PyBool_FromLong(lock_held(lock)) : NULL;
}

static PyMethodDef functions[] = {
    FUNCTION("attach_locks", attach_locks),
    FUNCTION("lock", take_lock),
    FUNCTION("unlock", release_lock),
    FUNCTION("is_locked", is_locked),
    {NULL, NULL, 0, NULL},
};

int add_locks(PyObject *to) { return PyModule_AddFunctions(to, functions); }
