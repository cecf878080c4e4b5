/* Metrics: numbers that any process changes at once, without a lock. The master has made the memory and names them (internal/shm). */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "layout.h"
#include "metric.h"

static struct metric *metrics;
static uint64_t room;

/* attach_metrics(fd): maps all of them. */
PyObject *metric_attach(PyObject *self, PyObject *args)
{
    int fd;
    struct stat is;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &fd))
        return NULL;
    if (fstat(fd, &is) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    void *memory = mmap(NULL, (size_t)is.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    metrics = memory;
    room = (uint64_t)is.st_size / sizeof *metrics;
    Py_RETURN_NONE;
}

/* What the metric is after the operation; numbers wrap as C's do. Division by 0 leaves it as it is. */
static int64_t apply(int operation, int64_t is, int64_t by)
{
    switch (operation) {
    case METRIC_SET:
        return by;
    case METRIC_ADD:
        return (int64_t)((uint64_t)is + (uint64_t)by);
    case METRIC_MULTIPLY:
        return (int64_t)((uint64_t)is * (uint64_t)by);
    case METRIC_DIVIDE:
        return by == 0 || (by == -1 && is == INT64_MIN) ? is : is / by;
    case METRIC_MAX:
        return is > by ? is : by;
    case METRIC_MIN:
        return is < by ? is : by;
    }
    return is;
}

/* metric(number, operation, by) -> its value then. */
PyObject *metric_change(PyObject *self, PyObject *args)
{
    unsigned long long number;
    int operation;
    long long by;
    (void)self;
    if (!PyArg_ParseTuple(args, "KiL", &number, &operation, &by))
        return NULL;
    if (number >= room) {
        PyErr_SetString(PyExc_IndexError, "no such metric");
        return NULL;
    }
    int64_t *value = &metrics[number].value;
    int64_t is = __atomic_load_n(value, __ATOMIC_SEQ_CST), then;
    do
        then = apply(operation, is, by);
    while (then != is && !__atomic_compare_exchange_n(value, &is, then, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return PyLong_FromLongLong(then);
}
