/* Metrics: numbers that any process changes at once, without a lock. The master has made the memory and names them (internal/shm). */
#include "module.h"

static struct metric *metrics;
static uint64_t room;

/* attach_metrics(fd, size): maps all of them. */
static PyObject *attach_metrics(PyObject *self, PyObject *args)
{
    int fd;
    unsigned long long size;
    if (!PyArg_ParseTuple(args, "iK", &fd, &size) || !(metrics = (struct metric *)map_file(fd, 0, size, 0)))
        return NULL;
    room = size / sizeof *metrics;
    Py_RETURN_NONE;
}

enum metric_operation { ADD, SWAP };

/* metric_add(number, by) -> its value then; metric_swap(number, then, now) -> whether it was now, and is then. */
static PyObject *metric_function(PyObject *self, PyObject *args)
{
    unsigned long long number;
    long long operand, now = 0;
    if (!PyArg_ParseTuple(args, "KL|L", &number, &operand, &now))
        return NULL;
    if (!metrics || number >= room)
        return PyErr_SetString(PyExc_IndexError, "no such metric"), NULL;
    int64_t *value = &metrics[number].value, is = now;
    if (PyLong_AsLong(self) == SWAP)
        return PyBool_FromLong(__atomic_compare_exchange_n(value, &is, operand, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    is = operand ? __atomic_add_fetch(value, operand, __ATOMIC_SEQ_CST) : __atomic_load_n(value, __ATOMIC_SEQ_CST); /* it wraps */
    return PyLong_FromLongLong(is);
}

PyMethodDef metric_functions[] = {
    [ADD] = FUNCTION("metric_add", metric_function),
    [SWAP] = FUNCTION("metric_swap", metric_function),
    FUNCTION("attach_metrics", attach_metrics), NO_MORE,
};
