/* The part of the extension module for ASGI: the application's messages become a response. Each call is about a core by
 * number, and does not wait: where it would have to, it returns (fd, milliseconds), and asgi_resume or its like goes on. */
#include "module.h"
#include "scope.h"
#include "_cgo_export.h"

#include <stdlib.h>

#define BODY_AT_ONCE 65536 /* larger bodies are given in pieces */

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

/* The body: bytes if it is there and small, None while it arrives, else an object with read(). */
static PyObject *body_of(core_t *core)
{
    core_io *io = core->io;
    if (io->body_state == BODY_ARRIVING)
        Py_RETURN_NONE;
    if (io->body_state == BODY_WHOLE && io->body_fd < 0 && io->body_len <= BODY_AT_ONCE)
        return PyBytes_FromStringAndSize((const char *)io->body, (Py_ssize_t)io->body_len);
    core->input = input_new(core);
    Py_XINCREF(core->input);
    return core->input;
}

/* Anything less is a plain request: its Upgrade may be ignored (RFC 9110, 7.8), and HTTP/1.0 has none. */
static int websocket_is_asked(core_io *io, const websocket_asked *asked)
{
    return asked->get && asked->upgrade && asked->connection && asked->version && asked->key && !(io->flags & REQ_HTTP10);
}

/* asgi_begin(core) -> (scope, the client's descriptor, the request's serial number, its body, the key of a client that asks for
 * a websocket or None) for the request that take() has found. None: the request is for the server itself; handle() serves it. */
PyObject *shim_asgi_begin(PyObject *self, PyObject *number)
{
    long index = PyLong_AsLong(number);
    if (!usable())
        return NULL;
    if (index < 0 || index >= core_count || !bound[index] || !bound[index]->scope) {
        PyErr_SetString(PyExc_ValueError, "the core is not bound");
        return NULL;
    }
    core_t *core = bound[index];
    if (core->io->flags & (REQ_EVENT | REQ_SERVICE))
        Py_RETURN_NONE;
    websocket_asked asked;
    wsgi_reset(core);
    core->environ = scope_build(core->io, core->io->flags & REQ_HTTP11 ? core->scope11 : core->scope, &asked);
    PyObject *body = core->environ ? body_of(core) : NULL;
    return body ? Py_BuildValue("OiINO", core->environ, (int)core->io->client_fd, (unsigned)core->serial, body,
                                websocket_is_asked(core->io, &asked) ? asked.key : Py_None)
                : NULL;
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

/* The response is there as a whole. When it has left, its connection serves the next request, and the application may go on. */
static PyObject *complete(core_t *core)
{
    int outcome, index = core->index;
    core->completing = 1;
    wsgi_finish(core);
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_complete(index);
    Py_END_ALLOW_THREADS
    if (outcome == WRITE_OK) {
        core->complete = core->muted = 1;
        if (core->input)
            input_detach(core->input);
        Py_CLEAR(core->input);
    }
    return written(core, outcome);
}

/* What is in io->out leaves. */
static PyObject *write_out(core_t *core)
{
    int outcome, index = core->index;
    if (!core->io->out_len)
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_write(index, NULL, 0, SEND_WHOLE);
    Py_END_ALLOW_THREADS
    return written(core, outcome);
}

/* asgi_receive(core) -> (data, whether there is more) of a body that arrives; a descriptor: nothing has come, and it
 * becomes readable when something does; None: the client has left. */
PyObject *shim_asgi_receive(PyObject *self, PyObject *number)
{
    core_t *core = in_hand((int)PyLong_AsLong(number));
    if (!core)
        return NULL;
    char *data = NULL;
    size_t size = 0;
    int fd = -1, state = envoxyd_body(core->index, &data, &size, &fd);
    if (state == ARRIVED_GONE)
        Py_RETURN_NONE;
    if (state == ARRIVED_WAIT)
        return PyLong_FromLong(fd);
    PyObject *result = Py_BuildValue("y#O", data ? data : "", (Py_ssize_t)size, state == ARRIVED_SOME ? Py_True : Py_False);
    free(data);
    return result;
}

/* asgi_start(core, status: int, headers: pairs of bytes, trailers: bool). */
PyObject *shim_asgi_start(PyObject *self, PyObject *args)
{
    int index, status, trailers;
    PyObject *headers;
    if (!PyArg_ParseTuple(args, "iiOp", &index, &status, &headers, &trailers))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (core->started) {
        PyErr_SetString(PyExc_RuntimeError, "the response was started before");
        return NULL;
    }
    if (response_start_octets(core, status, headers) < 0)
        return NULL;
    core->trailers = trailers && core->io->flags & REQ_HTTP11 && core->left < 0 && !core->app_te && !core->no_body;
    Py_RETURN_NONE;
}

/* asgi_hint(core, links: sequence of bytes): 103 Early Hints (RFC 8297), before the response. */
PyObject *shim_asgi_hint(PyObject *self, PyObject *args)
{
    int index;
    PyObject *headers;
    if (!PyArg_ParseTuple(args, "iO", &index, &headers))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (core->started || !(core->io->flags & REQ_HTTP11) || core->muted)
        Py_RETURN_NONE;
    int failed = response_start_octets(core, 103, headers) < 0 || response_end_head(core) < 0;
    core->started = 0;
    PyObject *done = failed ? NULL : write_out(core);
    if (failed || done == Py_None)
        response_reset(core);
    return done;
}

/* asgi_body(core, data, more): data of at most OUT_INLINE bytes is sent. */
PyObject *shim_asgi_body(PyObject *self, PyObject *args)
{
    int index, more;
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
    if (!more && !core->head_done && core->io->body_state == BODY_ARRIVING && !envoxyd_body_is_whole(index))
        core->io->flags |= REQ_DRAIN; /* nobody will read the rest of it */
    if (response_emit(core, data, (size_t)size, SEND_WHOLE) < 0)
        return NULL;
    if (core->muted)
        Py_RETURN_NONE;
    if (!more && !core->trailers && core->chunked) {
        if (response_end_chunks(core) < 0)
            return NULL;
        core->chunked = 0;
    }
    core->head_flushed = 1;
    return more || core->trailers ? write_out(core) : complete(core);
}

/* asgi_trailers(core, headers: pairs of bytes, more): behind the last of the body. */
PyObject *shim_asgi_trailers(PyObject *self, PyObject *args)
{
    int index, more;
    PyObject *headers;
    if (!PyArg_ParseTuple(args, "iOp", &index, &headers, &more))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    if (!core->trailers || !core->chunked || core->muted) /* the client does not take them */
        Py_RETURN_NONE;
    uint32_t counted = core->io->headers;
    if (response_trailers(core, headers, core->trailers == 1, !more) < 0)
        return NULL;
    core->io->headers = counted;
    core->trailers = 2;
    if (!more)
        core->chunked = 0;
    return more ? write_out(core) : complete(core);
}

/* asgi_file(core, fd, size) -> whether the file was sent, or is being sent: its copy of the descriptor is the extension's. */
PyObject *shim_asgi_file(PyObject *self, PyObject *args)
{
    int index, fd;
    long long size;
    if (!PyArg_ParseTuple(args, "iiL", &index, &fd, &size))
        return NULL;
    core_t *core = in_hand(index);
    if (!core)
        return NULL;
    int done = response_file(core, fd, 0, size);
    return done < 0 ? NULL : PyBool_FromLong(done);
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
    if (outcome == WRITE_OK && core->completing) {
        core->io->out_len = 0;
        return complete(core);
    }
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
    if (gone && !core->complete) {
        core->muted = core->gone = 1;
        core->io->result |= RES_BROKEN;
    }
    if (error != Py_None) {
        PyObject *type = (PyObject *)Py_TYPE(error);
        Py_INCREF(type);
        Py_INCREF(error);
        PyErr_Restore(type, error, PyException_GetTraceback(error));
        if (core->complete)
            wsgi_report(core, "application");
        else
            wsgi_fail(core, "application");
    } else if (!core->complete) {
        wsgi_finish(core);
    }
    wsgi_end(core);
    Py_RETURN_NONE;
}
