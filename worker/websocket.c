/* The part of the extension module for requests that become websockets. Any thread or coroutine may use one: it is named by
 * its core and by the serial number of the request. No call waits in a loop: it says what is to be waited for. */
#include "module.h"
#include "_cgo_export.h"

#include <stdlib.h>

/* The core, if its request is still the one with this number; NULL with an exception set. */
static core_t *serving(int index, unsigned serial)
{
    if (!usable())
        return NULL;
    core_t *core = index >= 0 && index < core_count ? bound[index] : NULL;
    if (core && core->environ && core->serial == serial)
        return core;
    PyErr_SetString(PyExc_OSError, "the websocket's request has ended");
    return NULL;
}

/* websocket_context() -> (core, serial) of the request in hand. */
PyObject *shim_websocket_context(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    return core ? Py_BuildValue("iI", core->index, (unsigned)core->serial) : NULL;
}

/* websocket_open(core, serial): the head that was begun leaves, and frames follow. */
PyObject *shim_websocket_open(PyObject *self, PyObject *args)
{
    int index, failed;
    unsigned serial;
    if (!PyArg_ParseTuple(args, "iI", &index, &serial))
        return NULL;
    core_t *core = serving(index, serial);
    if (!core || response_finish_head(core) < 0 || wsgi_flush(core, SEND_WHOLE) < 0)
        return NULL;
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

/* websocket_receive(core, serial) -> (message or None, its opcode, fd, milliseconds): without a message, it is to be called
 * again when fd is readable or the time is over. fd is -1 at the end; then the opcode is the code that the client has
 * closed with. */
PyObject *shim_websocket_receive(PyObject *self, PyObject *args)
{
    int index, outcome, opcode = 0, fd = -1, patience = 0;
    unsigned serial;
    char *message = NULL;
    size_t size = 0;
    if (!PyArg_ParseTuple(args, "iI", &index, &serial) || !serving(index, serial))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_websocket_receive(index, serial, &message, &size, &opcode, &fd, &patience);
    Py_END_ALLOW_THREADS
    if (outcome <= 0)
        return Py_BuildValue("Oiii", Py_None, opcode, outcome < 0 ? -1 : fd, patience);
    PyObject *result = Py_BuildValue("y#iii", message, (Py_ssize_t)size, opcode, fd, patience);
    free(message);
    return result;
}

static PyObject *sent(int outcome, int fd, int patience)
{
    if (outcome == WRITE_AGAIN || outcome == WRITE_BUSY)
        return Py_BuildValue("iii", outcome == WRITE_BUSY, fd, patience);
    if (outcome == WRITE_OK)
        Py_RETURN_NONE;
    PyErr_SetString(PyExc_OSError, "unable to send websocket message");
    return NULL;
}

/* websocket_send(core, serial, opcode, data) -> None, or (busy, fd, milliseconds): another frame is on its way, and it is to
 * be called again; or, not busy, websocket_resume is to be when fd takes bytes, and data is to be kept until then. */
PyObject *shim_websocket_send(PyObject *self, PyObject *args)
{
    int index, opcode, outcome, fd = -1, patience = 0;
    unsigned serial;
    const char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "iIiy#", &index, &serial, &opcode, &data, &size) || !serving(index, serial))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_websocket_send(index, serial, opcode, (char *)data, (size_t)size, &fd, &patience);
    Py_END_ALLOW_THREADS
    return sent(outcome, fd, patience);
}

/* websocket_resume(core, serial, late) -> as websocket_send. */
PyObject *shim_websocket_resume(PyObject *self, PyObject *args)
{
    int index, late, outcome, fd = -1, patience = 0;
    unsigned serial;
    if (!PyArg_ParseTuple(args, "iIp", &index, &serial, &late) || !serving(index, serial))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_websocket_resume(index, serial, late, &fd, &patience);
    Py_END_ALLOW_THREADS
    return sent(outcome, fd, patience);
}

/* websocket_close(core, serial, code, reason: bytes). */
PyObject *shim_websocket_close(PyObject *self, PyObject *args)
{
    int index, code;
    unsigned serial;
    const char *reason;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "iIiy#", &index, &serial, &code, &reason, &size) || !serving(index, serial))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    envoxyd_websocket_close(index, serial, code, (char *)reason, (size_t)size);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}
