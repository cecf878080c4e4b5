/* wsgi.input: the request's body, which is whole in memory or in a file before the application runs. */
#include "wsgi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    core_t *core; /* NULL after the request */
    uint64_t at;
    char *window; /* a piece of a body that is in a file: where lines are looked for */
    uint64_t window_at, window_len;
} input_t;

#define WINDOW (64 << 10)

static PyTypeObject *input_type;

PyObject *input_new(core_t *core)
{
    input_t *self = PyObject_New(input_t, input_type);
    if (self) {
        self->core = core;
        self->at = self->window_at = self->window_len = 0;
        self->window = NULL;
    }
    return (PyObject *)self;
}

void input_detach(PyObject *object)
{
    ((input_t *)object)->core = NULL;
}

/* The client sent less than it announced: said in the log and to the application. */
static PyObject *cut_short(input_t *self, uint64_t wanted)
{
    core_io *io = self->core->io;
    unsigned long long missing = (unsigned long long)(io->content_length - io->body_len);
    char line[256];
    int timeout = io->body_state == BODY_TIMEOUT;
    int n = snprintf(line, sizeof line,
                     "[uwsgi-body-read] %s reading %llu bytes. Content-Length: %llu consumed: %llu left: %llu message: %s\n",
                     timeout ? "Timeout" : "Error", missing, (unsigned long long)io->content_length,
                     (unsigned long long)io->body_len, missing, timeout ? "Client stalled" : "Client closed connection");
    if (write(2, line, (size_t)n) < 0)
        PyErr_Clear();
    return PyErr_Format(PyExc_OSError, "%s during read(%llu) on wsgi.input", timeout ? "timeout" : "error", (unsigned long long)wanted);
}

/* The file of the body gives less than was written to it: said in the log and to the application. */
static int unreadable(int error)
{
    const char *why = error ? strerror(error) : "it is shorter than it was";
    char line[256];
    int n = snprintf(line, sizeof line, "[uwsgi-body-read] Error reading the file of a request body: %s\n", why);
    if (write(2, line, (size_t)n) >= 0)
        PyErr_Format(PyExc_OSError, "error reading the file of wsgi.input: %s", why);
    else
        PyErr_SetString(PyExc_OSError, "error reading the file of wsgi.input");
    return -1;
}

/* Reads from the body's file. A mapping would do without the copy, but a file that ends early were a SIGBUS. */
static int read_file(int fd, char *to, uint64_t size, uint64_t at)
{
    while (size) {
        ssize_t n = pread(fd, to, size < 1 << 30 ? (size_t)size : 1 << 30, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return unreadable(n < 0 ? errno : 0);
        to += n;
        at += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

/* Where the body's bytes from `at` on are in memory, and how many of them. NULL with an exception set. */
static const char *view(input_t *self, uint64_t at, uint64_t *size)
{
    core_io *io = self->core->io;
    if (io->body_fd < 0) {
        *size = io->body_len - at;
        return (const char *)io->body + at;
    }
    if (at < self->window_at || at >= self->window_at + self->window_len) {
        uint64_t left = io->body_len - at, length = left < WINDOW ? left : WINDOW;
        if (!self->window && !(self->window = malloc(WINDOW))) {
            PyErr_NoMemory();
            return NULL;
        }
        self->window_len = 0;
        if (read_file(io->body_fd, self->window, length, at) < 0)
            return NULL;
        self->window_at = at;
        self->window_len = length;
    }
    *size = self->window_at + self->window_len - at;
    return self->window + (at - self->window_at);
}

/* A piece of the body, which is there. */
static PyObject *piece_of(input_t *self, uint64_t at, uint64_t size)
{
    core_io *io = self->core->io;
    if (!size || io->body_fd < 0)
        return PyBytes_FromStringAndSize(size ? (const char *)io->body + at : NULL, (Py_ssize_t)size);
    if (at >= self->window_at && at + size <= self->window_at + self->window_len)
        return PyBytes_FromStringAndSize(self->window + (at - self->window_at), (Py_ssize_t)size);
    PyObject *piece = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (piece && read_file(io->body_fd, PyBytes_AsString(piece), size, at) < 0)
        Py_CLEAR(piece);
    return piece;
}

/* Up to `wanted` bytes as a bytes object. */
static PyObject *take(input_t *self, uint64_t wanted)
{
    if (!self->core)
        return PyBytes_FromStringAndSize(NULL, 0);
    core_io *io = self->core->io;
    uint64_t there = io->body_len > self->at ? io->body_len - self->at : 0;
    if (wanted > there) {
        if (io->body_state != BODY_WHOLE && self->at + wanted > io->body_len && io->content_length > io->body_len) {
            self->at = io->body_len;
            return cut_short(self, wanted < io->content_length ? wanted : io->content_length);
        }
        wanted = there;
    }
    PyObject *piece = piece_of(self, self->at, wanted);
    if (piece)
        self->at += wanted;
    return piece;
}

/* One optional count: absent, None and negative mean all. */
static int count_of(PyObject *args, uint64_t *count)
{
    PyObject *given = NULL;
    if (!PyArg_ParseTuple(args, "|O", &given))
        return -1;
    *count = UINT64_MAX >> 1;
    if (!given || given == Py_None)
        return 0;
    long long n = PyLong_AsLongLong(given);
    if (n == -1 && PyErr_Occurred())
        return -1;
    if (n >= 0)
        *count = (uint64_t)n;
    return 0;
}

static PyObject *input_read(PyObject *object, PyObject *args)
{
    uint64_t count;
    return count_of(args, &count) < 0 ? NULL : take((input_t *)object, count);
}

static PyObject *line(input_t *self, uint64_t limit)
{
    if (!self->core)
        return take(self, 0);
    core_io *io = self->core->io;
    uint64_t there = io->body_len > self->at ? io->body_len - self->at : 0;
    uint64_t size = 0, length;
    while (size < there && size < limit) {
        const char *start = view(self, self->at + size, &length);
        if (!start)
            return NULL;
        const char *end = memchr(start, '\n', (size_t)length);
        if (end) {
            size += (uint64_t)(end - start) + 1;
            return take(self, size < limit ? size : limit);
        }
        size += length;
    }
    if (io->body_state != BODY_WHOLE)
        size++; /* more was announced */
    return take(self, size < limit ? size : limit);
}

static PyObject *input_readline(PyObject *object, PyObject *args)
{
    uint64_t count;
    return count_of(args, &count) < 0 ? NULL : line((input_t *)object, count);
}

static PyObject *input_next(PyObject *object)
{
    PyObject *got = line((input_t *)object, UINT64_MAX >> 1);
    if (got && PyBytes_Size(got) == 0) {
        Py_DECREF(got);
        return NULL;
    }
    return got;
}

static PyObject *input_readlines(PyObject *object, PyObject *args)
{
    uint64_t hint, total = 0;
    if (count_of(args, &hint) < 0)
        return NULL;
    PyObject *lines = PyList_New(0);
    while (lines && total < (hint ? hint : UINT64_MAX >> 1)) {
        PyObject *one = input_next(object);
        if (!one)
            break;
        total += (uint64_t)PyBytes_Size(one);
        int failed = PyList_Append(lines, one);
        Py_DECREF(one);
        if (failed)
            break;
    }
    if (PyErr_Occurred())
        Py_CLEAR(lines);
    return lines;
}

static PyObject *input_seek(PyObject *object, PyObject *args)
{
    input_t *self = (input_t *)object;
    long long to;
    int whence = 0;
    if (!PyArg_ParseTuple(args, "L|i", &to, &whence))
        return NULL;
    if (!self->core || !(self->core->io->flags & REQ_SEEKABLE))
        return PyErr_Format(PyExc_OSError, "seeking wsgi.input without post-buffering is not possible");
    if (whence == 1)
        to += (long long)self->at;
    else if (whence == 2)
        to += (long long)self->core->io->body_len;
    if (to < 0)
        return PyErr_Format(PyExc_OSError, "seek before the start of wsgi.input");
    self->at = (uint64_t)to < self->core->io->body_len ? (uint64_t)to : self->core->io->body_len;
    Py_RETURN_NONE;
}

static PyObject *input_tell(PyObject *object, PyObject *unused)
{
    return PyLong_FromUnsignedLongLong(((input_t *)object)->at);
}

static PyObject *input_fileno(PyObject *object, PyObject *unused)
{
    input_t *self = (input_t *)object;
    return PyLong_FromLong(self->core ? client_descriptor(self->core) : -1);
}

static PyObject *input_close(PyObject *object, PyObject *unused)
{
    Py_RETURN_NONE;
}

static void input_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    free(((input_t *)object)->window);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef input_methods[] = {
    {"read", input_read, METH_VARARGS, NULL},
    {"readline", input_readline, METH_VARARGS, NULL},
    {"readlines", input_readlines, METH_VARARGS, NULL},
    {"seek", input_seek, METH_VARARGS, NULL},
    {"tell", input_tell, METH_NOARGS, NULL},
    {"fileno", input_fileno, METH_NOARGS, NULL},
    {"close", input_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot input_slots[] = {
    {Py_tp_dealloc, input_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, input_next},
    {Py_tp_methods, input_methods},
    {0, NULL},
};

static PyType_Spec input_spec = {"uwsgi._Input", sizeof(input_t), 0, Py_TPFLAGS_DEFAULT, input_slots};

int input_init(PyObject *module)
{
    input_type = (PyTypeObject *)PyType_FromSpec(&input_spec);
    return input_type ? 0 : -1;
}
