/* The part of the extension module for requests that become websockets. Any thread or coroutine may use one: it is named by
 * its core and by the serial number of the request. */
#include "module.h"
#include "_cgo_export.h"

#include <stdlib.h>

/* The core, if its request is still the one with this number; NULL with OSError set. */
static core_t *serving(int index, unsigned serial)
{
    core_t *core = index >= 0 && index < core_count ? bound[index] : NULL;
    if (core && core->environ && core->serial == serial)
        return core;
    PyErr_SetString(PyExc_OSError, "the websocket's request has ended");
    return NULL;
}

PyObject *websocket_open(core_t *core)
{
    if (response_finish_head(core) < 0 || wsgi_flush(core, SEND_WHOLE) < 0)
        return NULL;
    int failed, index = core->index;
    uint32_t serial = core->serial;
    Py_BEGIN_ALLOW_THREADS
    failed = envoxyd_websocket_open(index, serial);
    Py_END_ALLOW_THREADS
    if (failed) {
        PyErr_SetString(PyExc_OSError, "there can be no websocket on this connection");
        return NULL;
    }
    core->muted = 1; /* a body would not be frames */
    Py_RETURN_NONE;
}

/* websocket_open(): the head that start_response was given leaves, and frames follow. */
PyObject *shim_websocket_open(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    return core ? websocket_open(core) : NULL;
}

/* websocket_context() -> (core, serial) of the request in hand. */
PyObject *shim_websocket_context(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    return core ? Py_BuildValue("iI", core->index, (unsigned)core->serial) : NULL;
}

/* websocket_receive(core, serial) -> (message or None, its opcode, fd, milliseconds): without a message, when fd is readable or the
 * time is over it is to be called again. */
PyObject *shim_websocket_receive(PyObject *self, PyObject *args)
{
    int index, outcome, opcode = 0, fd = -1, patience = 0;
    unsigned serial;
    char *message = NULL;
    size_t size = 0;
    if (!PyArg_ParseTuple(args, "iI", &index, &serial) || !usable() || !serving(index, serial))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_websocket_receive(index, serial, &message, &size, &opcode, &fd, &patience);
    Py_END_ALLOW_THREADS
    if (outcome < 0) {
        PyErr_SetString(PyExc_OSError, "unable to receive websocket message");
        return NULL;
    }
    if (!outcome)
        return Py_BuildValue("Oiii", Py_None, 0, fd, patience);
    PyObject *result = Py_BuildValue("y#iii", message, (Py_ssize_t)size, opcode, fd, patience);
    free(message);
    return result;
}

/* In a loop: others go on until the client reads. */
static int resume(core_t *core, uint32_t serial, int fd, int patience)
{
    int written, index = core->index;
    PyObject *ready = PyObject_CallFunction(core->wait, "ii", fd, patience);
    int late = !ready || PyObject_IsTrue(ready) <= 0;
    Py_XDECREF(ready);
    Py_BEGIN_ALLOW_THREADS
    written = envoxyd_websocket_resume(index, serial, late);
    Py_END_ALLOW_THREADS
    return written;
}

/* websocket_send(core, serial, opcode, data) -> fd: another frame is on its way, and this one is to be tried again when
 * that is done; -1: it has been sent. */
PyObject *shim_websocket_send(PyObject *self, PyObject *args)
{
    int index, opcode, written, fd = -1, patience = 0;
    unsigned serial;
    const char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "iIiy#", &index, &serial, &opcode, &data, &size) || !usable())
        return NULL;
    core_t *core = serving(index, serial);
    if (!core)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    written = envoxyd_websocket_send(index, serial, opcode, (char *)data, (size_t)size, &fd, &patience);
    Py_END_ALLOW_THREADS
    while (written == WRITE_AGAIN)
        written = resume(core, serial, fd, patience);
    if (written == WRITE_OK || written == WRITE_BUSY)
        return PyLong_FromLong(written == WRITE_OK ? -1 : fd);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_OSError, "unable to send websocket message");
    return NULL;
}
