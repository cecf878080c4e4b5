/* The part of the extension module that a loop calls: coroutines of one thread serve the cores. */
#include "module.h"
#include "_cgo_export.h"

#include <unistd.h>

int looped;
static PyObject *loop_current; /* () -> the number of the core whose request the caller is in; -1: none */

static core_t *core_of_coroutine(void)
{
    PyObject *number = PyObject_CallObject(loop_current, NULL);
    long index = number ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    PyErr_Clear();
    return index >= 0 && index < core_count ? bound[index] : NULL;
}

/* loop(current) -> a descriptor: coroutines of this thread serve from now on. While there are free cores, take() is
 * called when the descriptor is readable, until it returns NEXT_IDLE. */
PyObject *shim_loop(PyObject *self, PyObject *current)
{
    if (!usable())
        return NULL;
    Py_INCREF(current);
    loop_current = current;
    looped = 1;
    wsgi_loop(core_of_coroutine);
    keep_stack_chunks();
    return PyLong_FromLong(envoxyd_loop_fd());
}

static int core_number(PyObject *number)
{
    long index = PyLong_AsLong(number);
    if (index >= 0 && index < core_count)
        return (int)index;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "no such core");
    return -1;
}

/* bind(core, wsgi: dict): what the core serves with, before its first handle(). */
PyObject *shim_bind(PyObject *self, PyObject *args)
{
    PyObject *number, *settings;
    if (!PyArg_ParseTuple(args, "OO!", &number, &PyDict_Type, &settings) || !usable())
        return NULL;
    int index = core_number(number);
    if (index < 0 || !bind_core(index, settings))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *step(PyObject *number, int ask)
{
    int next, index = usable() ? core_number(number) : -1;
    if (index < 0)
        return NULL;
    do {
        Py_BEGIN_ALLOW_THREADS
        next = envoxyd_take(index, ask);
        Py_END_ALLOW_THREADS
        if (next == NEXT_SIGNAL && PyErr_CheckSignals() < 0)
            return NULL;
    } while (next == NEXT_SIGNAL);
    __atomic_store_n(&cores[index].running, 1, __ATOMIC_RELEASE);
    return PyLong_FromLong(next);
}

/* take(core) -> NEXT_*: looks for a request without waiting. What a signal handler raises is raised; there may be more
 * to take then. */
PyObject *shim_take(PyObject *self, PyObject *number)
{
    return step(number, 1);
}

/* finish(core) -> NEXT_*: ends the core's request; another one is found if that is known of already. NEXT_IDLE: whatever else
 * there is makes the loop's descriptor readable. */
PyObject *shim_finish(PyObject *self, PyObject *number)
{
    return step(number, 0);
}

/* handle(core, next): serves what take() has returned, in the coroutine that calls. */
PyObject *shim_handle(PyObject *self, PyObject *args)
{
    PyObject *number;
    int next;
    if (!PyArg_ParseTuple(args, "Oi", &number, &next) || !usable())
        return NULL;
    int index = core_number(number);
    if (index < 0 || !bound[index]) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the core is not bound");
        return NULL;
    }
    if (next == NEXT_UWSGI_SIGNAL)
        wsgi_signal(bound[index]);
    else
        wsgi_handle(bound[index]);
    if (forked)
        _exit(1);
    Py_RETURN_NONE;
}
