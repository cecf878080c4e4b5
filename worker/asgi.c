/* The part of the extension module for ASGI: the application's messages become a response. Each call is about a core by
 * number, and does not wait: where it would have to, it returns (fd, milliseconds), and asgi_resume or its like goes on. */
#include "module.h"
#include "_cgo_export.h"

/* The core whose request is in hand; NULL with an exception set. */
static core_t *in_hand(int index)
{
    core_t *core = usable() && index >= 0 && index < core_count ? bound[index] : NULL;
    if (core && core->environ)
        return core;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "the request has ended");
    return NULL;
}

/* asgi_begin(core) -> the environ of the request that take() has found, the client's descriptor and the request's serial
 * number. None: the request is
 * for the server itself, and handle() serves it. */
PyObject *shim_asgi_begin(PyObject *self, PyObject *args)
{
    int index;
    if (!PyArg_ParseTuple(args, "i", &index) || !usable())
        return NULL;
    if (index < 0 || index >= core_count || !bound[index]) {
        PyErr_SetString(PyExc_ValueError, "the core is not bound");
        return NULL;
    }
    if (bound[index]->io->flags & (REQ_EVENT | REQ_SERVICE))
        Py_RETURN_NONE;
    if (wsgi_begin(bound[index]) < 0)
        return NULL;
    return Py_BuildValue("OiI", bound[index]->environ, (int)bound[index]->io->client_fd, (unsigned)bound[index]->serial);
}

/* asgi_start(core, status: str, headers: list of tuples of str). */
PyObject *shim_asgi_start(PyObject *self, PyObject *args)
{
    int index;
    PyObject *status, *headers;
    if (!PyArg_ParseTuple(args, "iOO", &index, &status, &headers))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (core->started) {
        PyErr_SetString(PyExc_RuntimeError, "the response was started before");
        return NULL;
    }
    if (response_start(core, status, headers) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *written(core_t *core, int outcome)
{
    if (outcome == WRITE_AGAIN)
        return Py_BuildValue("ii", (int)core->io->client_fd, (int)core->io->patience);
    core->io->out_len = 0;
    if (outcome != WRITE_OK) {
        core->io->result |= RES_BROKEN;
        core->muted = core->gone = 1;
        PyErr_SetString(PyExc_OSError, "the client has left");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* asgi_body(core, data, more): data of at most OUT_INLINE bytes is sent. */
PyObject *shim_asgi_body(PyObject *self, PyObject *args)
{
    int index, more, outcome;
    const char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "iy#p", &index, &data, &size, &more))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (size > OUT_INLINE) {
        PyErr_SetString(PyExc_ValueError, "too much at once");
        return NULL;
    }
    core->io->switches++;
    if (response_emit(core, data, (size_t)size, SEND_WHOLE) < 0)
        return NULL;
    if (core->muted)
        Py_RETURN_NONE;
    if (!more && core->chunked && response_end_chunks(core) < 0)
        return NULL;
    if (!more)
        core->chunked = 0;
    if (!core->io->out_len)
        Py_RETURN_NONE;
    core->head_flushed = 1;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_write(index, NULL, 0, more ? SEND_WHOLE : SEND_LAST);
    Py_END_ALLOW_THREADS
    return written(core, outcome);
}

/* asgi_resume(core, late): the client reads again, or has not in time. */
PyObject *shim_asgi_resume(PyObject *self, PyObject *args)
{
    int index, late, outcome;
    if (!PyArg_ParseTuple(args, "ip", &index, &late))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_resume(index, late);
    Py_END_ALLOW_THREADS
    return written(core, outcome);
}

/* asgi_end(core, error, gone): the application has returned, or raised the error; gone: the client had left before. */
PyObject *shim_asgi_end(PyObject *self, PyObject *args)
{
    int index, gone;
    PyObject *error;
    if (!PyArg_ParseTuple(args, "iOp", &index, &error, &gone))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (gone) {
        core->muted = core->gone = 1;
        core->io->result |= RES_BROKEN;
    }
    if (error != Py_None) {
        PyObject *type = (PyObject *)Py_TYPE(error);
        Py_INCREF(type);
        Py_INCREF(error);
        PyErr_Restore(type, error, PyException_GetTraceback(error));
        wsgi_fail(core, "application");
    } else {
        wsgi_finish(core);
    }
    wsgi_end(core);
    Py_RETURN_NONE;
}
