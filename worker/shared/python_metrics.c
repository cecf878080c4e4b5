/* Metrics: numbers that any process changes at once, without a lock. The master has made the memory and names them (internal/shm). */
#include "module.h"

#include <sys/stat.h>

#include "layout.h"

/* What there is to do with one; uwsgi_module/metrics.py has these numbers too. */
enum { METRIC_GET, METRIC_SET, METRIC_ADD, METRIC_MULTIPLY, METRIC_DIVIDE, METRIC_MAX, METRIC_MIN };

static struct metric *metrics;
static uint64_t room;

/* attach_metrics(fd): maps all of them. */
static PyObject *attach_metrics(PyObject *self, PyObject *args)
{
    int fd;
    struct stat is;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &fd))
        return NULL;
    if (fstat(fd, &is) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    metrics = (struct metric *)map_file(fd, 0, (uint64_t)is.st_size, 0);
    if (!metrics)
        return NULL;
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
static PyObject *change_metric(PyObject *self, PyObject *args)
{
    unsigned long long number;
    int operation;
    long long by;
    (void)self;
    if (!PyArg_ParseTuple(args, "KiL", &number, &operation, &by))
        return NULL;
    if (!metrics || number >= room) {
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

static PyMethodDef functions[] = {
    FUNCTION("attach_metrics", attach_metrics),
    FUNCTION("metric", change_metric),
    {NULL, NULL, 0, NULL},
};

int add_metrics(PyObject *to) { return PyModule_AddFunctions(to, functions); }
