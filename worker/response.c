/* start_response, write, and the bytes of a response. */
#include "wsgi.h"
#include "_cgo_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a loop: others go on until the client reads. */
static int resume(core_t *core)
{
    int written, index = core->index;
    PyObject *ready = PyObject_CallFunction(core->wait, "ii", (int)core->io->client_fd, (int)core->io->patience);
    if (!ready) /* the coroutine is to end */
        return WRITE_GONE;
    int late = PyObject_IsTrue(ready) <= 0;
    Py_DECREF(ready);
    Py_BEGIN_ALLOW_THREADS
    written = envoxyd_resume(index, late);
    Py_END_ALLOW_THREADS
    return written;
}

static int outcome(core_t *core, int written)
{
    if (written == WRITE_OK) {
        core->io->out_len = 0;
        return 0;
    }
    core->io->out_len = 0;
    core->io->result |= RES_BROKEN;
    core->muted = core->gone = 1;
    if (PyErr_Occurred())
        return -1;
    if (core->hold_errors)
        return 0;
    PyErr_SetString(PyExc_OSError, "write error");
    return -1;
}

/* Everything in io->out, then data, goes to the client. */
static int send_all(core_t *core, const char *data, size_t size, int mode)
{
    int written, index = core->index;
    core->head_flushed = 1;
    Py_BEGIN_ALLOW_THREADS
    written = envoxyd_write(index, (char *)data, size, mode);
    Py_END_ALLOW_THREADS
    while (written == WRITE_AGAIN)
        written = resume(core);
    return outcome(core, written);
}

int wsgi_flush(core_t *core, int mode)
{
    if (core->muted || core->io->out_len == 0 || !core->head_done)
        return 0;
    return send_all(core, NULL, 0, mode);
}

int response_raw(core_t *core, const char *data, size_t size)
{
    core_io *io = core->io;
    if (wsgi_flush(core, SEND_WHOLE) < 0 || core->muted)
        return -1;
    uint32_t begun = io->out_len; /* a head that is not complete: its turn comes later */
    int flushed = core->head_flushed;
    io->out_len = 0;
    core->raw = 1;
    int failed = size ? send_all(core, data, size, SEND_WHOLE) : 0;
    io->out_len = begun;
    core->head_flushed = flushed;
    return failed || core->muted ? -1 : 0;
}

static int gather(core_t *core, const char *data, size_t size)
{
    if (core->gathered_cap - core->gathered_len < size) {
        size_t cap = 2 * core->gathered_cap + size;
        char *grown = realloc(core->gathered, cap);
        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        core->gathered = grown;
        core->gathered_cap = cap;
    }
    memcpy(core->gathered + core->gathered_len, data, size);
    core->gathered_len += size;
    return 0;
}

int response_gathered(core_t *core)
{
    char *data = core->gathered, *changed = NULL, line[64];
    size_t size = core->gathered_len;
    core->gathering = 0;
    if (core->left >= 0 && (uint64_t)size > (uint64_t)core->left)
        size = (size_t)core->left;
    Py_BEGIN_ALLOW_THREADS
    changed = envoxyd_gathered(core->index, data, &size);
    Py_END_ALLOW_THREADS
    if (core->left < 0 && !core->app_te) {
        int n = snprintf(line, sizeof line, "Content-Length: %zu\r\n", size);
        core->io->headers++;
        core->left = (int64_t)size;
        if (out_put(core->io, line, (size_t)n) < 0) {
            free(changed);
            return -1;
        }
    }
    int failed = response_emit(core, changed ? changed : data, size, SEND_LAST) < 0;
    free(changed);
    if (core->gathered_cap > OUT_INLINE) {
        free(core->gathered);
        core->gathered = NULL;
        core->gathered_cap = 0;
    }
    core->gathered_len = 0;
    return failed ? -1 : 0;
}

int response_emit(core_t *core, const char *data, size_t size, int mode)
{
    core_io *io = core->io;
    if (!core->started && core->raw) /* the head was sent by hand */
        core->started = core->head_done = core->head_flushed = 1;
    if (!core->started) {
        PyErr_SetString(PyExc_RuntimeError, "the application gave a body before it called start_response");
        return -1;
    }
    if (response_finish_head(core) < 0)
        return -1;
    if (core->muted || core->no_body)
        return 0;
    if (core->gathering)
        return gather(core, data, size);
    if (core->left >= 0) { /* no more than was promised: the rest would be taken for the next response */
        if ((uint64_t)size > (uint64_t)core->left)
            size = (size_t)core->left;
        core->left -= (int64_t)size;
    }
    if (size == 0)
        return 0;
    io->sent += size;
    if (core->chunked) {
        char line[32];
        int n = snprintf(line, sizeof line, "%zx\r\n", size);
        if (out_put(io, line, (size_t)n) < 0)
            return -1;
    }
    if (size > OUT_INLINE || io->out_len > 4 * OUT_INLINE) {
        if (send_all(core, data, size, mode) < 0)
            return -1;
        if (core->chunked && mode == SEND_AHEAD) /* the chunk's end does not wait for its data */
            return out_put(io, "\r\n", 2) < 0 ? -1 : send_all(core, NULL, 0, core->wait ? SEND_WHOLE : SEND_LAST);
    } else if (out_put(io, data, size) < 0) {
        return -1;
    }
    return core->chunked ? out_put(io, "\r\n", 2) : 0;
}

int response_end_head(core_t *core)
{
    return out_put(core->io, "\r\n", 2);
}

int response_end_chunks(core_t *core)
{
    return out_put(core->io, "0\r\n\r\n", 5);
}

int response_trailers(core_t *core, PyObject *headers, int first, int last)
{
    if (first && out_put(core->io, "0\r\n", 3) < 0)
        return -1;
    if (response_lines(core, headers) < 0)
        return -1;
    return last ? out_put(core->io, "\r\n", 2) : 0;
}

/* start_response(status, headers[, exc_info]) -> write */
typedef struct {
    PyObject_HEAD
    core_t *core;
} bound_t;

static PyTypeObject *start_type, *write_type;

static PyObject *start_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    core_t *core = ((bound_t *)object)->core;
    PyObject *status, *headers, *exc_info = NULL;
    if (kwargs && PyDict_Size(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "start_response() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OO|O", &status, &headers, &exc_info))
        return NULL;
    if (!core->environ) {
        PyErr_SetString(PyExc_OSError, "start_response() after the request has ended");
        return NULL;
    }
    if (core->head_flushed) {
        if (exc_info && PyTuple_Check(exc_info) && PyTuple_Size(exc_info) == 3) {
            PyObject *parts[3];
            for (int i = 0; i < 3; i++) {
                parts[i] = PyTuple_GetItem(exc_info, i);
                Py_XINCREF(parts[i]);
            }
            PyErr_Restore(parts[0], parts[1], parts[2]);
            return NULL;
        }
        PyErr_SetString(PyExc_OSError, "headers already sent");
        return NULL;
    }
    if (response_start(core, status, headers) < 0)
        return NULL;
    Py_INCREF(core->write);
    return core->write;
}

static PyObject *write_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    core_t *core = ((bound_t *)object)->core;
    PyObject *data;
    char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "O", &data))
        return NULL;
    if (!core->environ) {
        PyErr_SetString(PyExc_OSError, "write() after the request has ended");
        return NULL;
    }
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "write() takes bytes");
        return NULL;
    }
    core->io->switches++;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0 || response_emit(core, bytes, (size_t)size, SEND_WHOLE) < 0 || wsgi_flush(core, SEND_WHOLE) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static void bound_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyType_Slot start_slots[] = {{Py_tp_dealloc, bound_dealloc}, {Py_tp_call, start_call}, {0, NULL}};
static PyType_Slot write_slots[] = {{Py_tp_dealloc, bound_dealloc}, {Py_tp_call, write_call}, {0, NULL}};
static PyType_Spec start_spec = {"uwsgi.start_response", sizeof(bound_t), 0, Py_TPFLAGS_DEFAULT, start_slots};
static PyType_Spec write_spec = {"uwsgi.write", sizeof(bound_t), 0, Py_TPFLAGS_DEFAULT, write_slots};

int response_init(PyObject *module)
{
    start_type = (PyTypeObject *)PyType_FromSpec(&start_spec);
    write_type = (PyTypeObject *)PyType_FromSpec(&write_spec);
    return start_type && write_type ? 0 : -1;
}

int response_bind(core_t *core)
{
    bound_t *start = PyObject_New(bound_t, start_type), *write = PyObject_New(bound_t, write_type);
    if (start)
        start->core = core;
    if (write)
        write->core = core;
    core->start_response = (PyObject *)start;
    core->write = (PyObject *)write;
    return start && write ? 0 : -1;
}
