/* One request: environ, application, iterable, errors. */
#include "wsgi.h"
#include "scope.h"
#include "_cgo_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread core_t *served;
static core_t *(*of_coroutine)(void);
static PyObject *close_name, *region_name;

core_t *wsgi_current(void)
{
    core_t *core = of_coroutine ? of_coroutine() : served;
    return core && core->environ && !core->complete ? core : NULL;
}

void wsgi_serves(core_t *core)
{
    served = core;
}

void wsgi_loop(core_t *(*current)(void))
{
    of_coroutine = current;
}

int wsgi_init(PyObject *module)
{
    close_name = PyUnicode_InternFromString("close");
    region_name = PyUnicode_InternFromString("region");
    if (!close_name || !region_name || environ_init() < 0 || scope_init() < 0 || input_init(module) < 0 || response_init(module) < 0)
        return -1;
    return 0;
}

static PyObject *setting(PyObject *settings, const char *name)
{
    PyObject *value = PyDict_GetItemString(settings, name);
    if (value == Py_None)
        value = NULL;
    Py_XINCREF(value);
    return value;
}

static int switched(PyObject *settings, const char *name)
{
    PyObject *value = PyDict_GetItemString(settings, name);
    return value && PyObject_IsTrue(value) > 0;
}

core_t *wsgi_core_new(int index, core_io *io, PyObject *settings)
{
    core_t *core = calloc(1, sizeof *core);
    if (!core) {
        PyErr_NoMemory();
        return NULL;
    }
    core->index = index;
    core->io = io;
    core->app = setting(settings, "app");
    core->event = setting(settings, "event");
    core->service = setting(settings, "service");
    core->signal = setting(settings, "signal");
    core->wait = setting(settings, "wait");
    core->between = setting(settings, "between");
    core->base = setting(settings, "environ");
    core->scope = setting(settings, "scope");
    core->scope11 = setting(settings, "scope11");
    core->after = setting(settings, "after");
    core->on_error = setting(settings, "on_error");
    core->file_wrapper = setting(settings, "file_wrapper");
    core->add_headers = setting(settings, "add_headers");
    core->del_headers = setting(settings, "del_headers");
    core->strict = switched(settings, "strict");
    core->any_buffer = switched(settings, "any_buffer");
    core->hold_errors = switched(settings, "hold_errors");
    if (!core->app || !core->base || !core->on_error || response_bind(core) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "serve() needs app, environ and on_error");
        wsgi_core_free(core);
        return NULL;
    }
    if (!io->out) {
        io->out = malloc(OUT_INITIAL);
        io->out_cap = io->out ? OUT_INITIAL : 0;
        if (!io->out) {
            PyErr_NoMemory();
            wsgi_core_free(core);
            return NULL;
        }
    }
    return core;
}

/* start_response and write may be held by the application for longer: the core's memory stays. */
void wsgi_core_free(core_t *core)
{
    Py_CLEAR(core->app);
    Py_CLEAR(core->event);
    Py_CLEAR(core->service);
    Py_CLEAR(core->signal);
    Py_CLEAR(core->wait);
    Py_CLEAR(core->between);
    Py_CLEAR(core->base);
    Py_CLEAR(core->scope);
    Py_CLEAR(core->scope11);
    Py_CLEAR(core->after);
    Py_CLEAR(core->on_error);
    Py_CLEAR(core->file_wrapper);
    Py_CLEAR(core->add_headers);
    Py_CLEAR(core->del_headers);
}

/* An answer in place of the application's: (status, headers, body). */
static void answer(core_t *core, PyObject *reply)
{
    PyObject *status, *headers, *body;
    char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(reply, "OOO", &status, &headers, &body) || response_start(core, status, headers) < 0 ||
        PyBytes_AsStringAndSize(body, &bytes, &size) < 0 || response_emit(core, bytes, (size_t)size, SEND_LAST) < 0) {
        PyErr_Clear();
        response_reset(core);
        core->io->result |= RES_FAILED;
    }
}

void wsgi_report(core_t *core, const char *where)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback && value)
        PyException_SetTraceback(value, traceback);
    PyObject *place = PyUnicode_FromString(where);
    PyObject *reply = place ? PyObject_CallFunctionObjArgs(core->on_error, type ? type : Py_None, value ? value : Py_None,
                                                           traceback ? traceback : Py_None, place, NULL)
                            : NULL;
    if (reply && PyTuple_Check(reply) && core->environ && !core->head_flushed)
        answer(core, reply);
    if (PyErr_Occurred()) /* the reporter itself failed: say so and go on */
        PyErr_WriteUnraisable(core->on_error);
    Py_XDECREF(reply);
    Py_XDECREF(place);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

void wsgi_fail(core_t *core, const char *where)
{
    core_io *io = core->io;
    io->result |= RES_EXCEPTION;
    core->head_flushed |= core->raw;
    if (core->head_flushed) {
        io->out_len = 0;
        io->result |= RES_BROKEN;
    } else {
        response_reset(core);
        io->result |= RES_FAILED;
        io->status = 500;
        io->sent = 0;
    }
    uint32_t failed = io->result & RES_FAILED;
    wsgi_report(core, where);
    if (failed && core->started) /* on_error gave an answer */
        io->result &= ~(uint32_t)RES_FAILED;
}

/* One item of the body. */
static int item(core_t *core, PyObject *object, int mode)
{
    char *bytes;
    Py_ssize_t size;
    PyObject *copy = NULL;
    int failed;
    core->io->switches++;
    if (!PyBytes_Check(object) && core->any_buffer && !PyUnicode_Check(object) && !PyLong_Check(object)) {
        copy = PyBytes_FromObject(object);
        if (!copy)
            PyErr_Clear();
        object = copy ? copy : object;
    }
    if (PyBytes_Check(object)) {
        failed = PyBytes_AsStringAndSize(object, &bytes, &size) < 0 || response_emit(core, bytes, (size_t)size, mode) < 0;
    } else {
        PyObject *text = PyUnicode_FromFormat("[ERROR] Unhandled object from iterator: %R (%p)\n", object, (void *)object);
        PyObject *line = text ? PyUnicode_AsUTF8String(text) : NULL;
        if (line)
            fputs(PyBytes_AsString(line), stderr);
        Py_XDECREF(text);
        Py_XDECREF(line);
        PyErr_Clear();
        failed = core->started ? response_finish_head(core) < 0 : 0;
    }
    Py_XDECREF(copy);
    return failed ? -1 : 0;
}

/* A list or tuple is there as a whole: it leaves in as few writes as it fits in. */
static int sequence(core_t *core, PyObject *result, int is_list)
{
    for (Py_ssize_t i = 0;; i++) {
        Py_ssize_t size = is_list ? PyList_Size(result) : PyTuple_Size(result);
        if (i >= size)
            return 0;
        PyObject *object = is_list ? PyList_GetItem(result, i) : PyTuple_GetItem(result, i);
        Py_INCREF(object);
        int failed = item(core, object, i == size - 1 ? SEND_LAST : SEND_WHOLE);
        Py_DECREF(object);
        if (failed)
            return -1;
    }
}

/* An iterator's items leave one by one: the next may be long in coming. Whether there is one shows only when
 * the iterator is asked, so a client that reads slowly is not waited for before that. */
static int iterate(core_t *core, PyObject *result)
{
    PyObject *iterator = PyObject_GetIter(result);
    if (!iterator)
        return -1;
    PyObject *object;
    int failed = 0;
    while (!failed && (object = PyIter_Next(iterator))) {
        failed = item(core, object, SEND_AHEAD) < 0 || wsgi_flush(core, SEND_AHEAD) < 0;
        Py_DECREF(object);
        if (core->gone) /* the client has left: end the generator */
            break;
        if (!failed && core->between) { /* what the item has registered is waited for */
            PyObject *done = PyObject_CallObject(core->between, NULL);
            failed = !done;
            Py_XDECREF(done);
        }
    }
    Py_DECREF(iterator);
    return failed || PyErr_Occurred() ? -1 : 0;
}

/* A file goes from the kernel's cache to the socket. 1: done; 0: not a real file. */
static int send_file(core_t *core, PyObject *result)
{
    PyObject *region = PyObject_CallMethodObjArgs(result, region_name, NULL);
    if (!region || region == Py_None) {
        Py_XDECREF(region);
        return region ? 0 : -1;
    }
    int fd;
    long long offset, size;
    int parsed = PyArg_ParseTuple(region, "iLL", &fd, &offset, &size);
    Py_DECREF(region);
    return !parsed ? -1 : core->started ? response_file(core, fd, offset, size) : 0;
}

int response_file(core_t *core, int fd, int64_t offset, int64_t size)
{
    int sent, index = core->index;
    if (response_finish_head(core) < 0)
        return -1;
    if (core->chunked || core->gathering) /* the length was not known when the head was made, or rules want to have the body */
        return 0;
    if (core->left >= 0 && size > core->left)
        size = core->left;
    if (core->no_body || core->muted || size == 0)
        return 1;
    if (core->wait && wsgi_flush(core, SEND_WHOLE) < 0)
        return -1;
    core->head_flushed = 1;
    core->io->sent += (uint64_t)size;
    if (core->left >= 0)
        core->left -= size;
    Py_BEGIN_ALLOW_THREADS
    sent = envoxyd_sendfile(index, fd, offset, size);
    Py_END_ALLOW_THREADS
    core->io->out_len = 0;
    if (sent == WRITE_OK)
        return 1;
    core->io->result |= RES_BROKEN;
    core->muted = core->gone = 1;
    if (core->hold_errors)
        return 1;
    PyErr_SetString(PyExc_OSError, "write error");
    return -1;
}

static int respond(core_t *core, PyObject *result)
{
    if (PyList_Check(result))
        return sequence(core, result, 1);
    if (PyTuple_Check(result))
        return sequence(core, result, 0);
    if (PyBytes_Check(result) && !core->strict)
        return item(core, result, SEND_LAST);
    if (core->file_wrapper && (PyObject *)Py_TYPE(result) == core->file_wrapper) {
        int done = send_file(core, result);
        if (done)
            return done < 0 ? -1 : 0;
    }
    return iterate(core, result);
}

void wsgi_finish(core_t *core)
{
    core_io *io = core->io;
    if (io->result & (RES_FAILED | RES_BROKEN) || core->muted)
        return;
    if (!core->started && core->raw) /* that was the response */
        return;
    if (!core->started) {
        PyErr_SetString(PyExc_RuntimeError, "the application never called start_response");
        wsgi_fail(core, "application");
        return;
    }
    if (response_finish_head(core) < 0 || (core->gathering && response_gathered(core) < 0)) {
        wsgi_fail(core, "application");
        return;
    }
    if (core->muted) /* rules have answered in place of the application */
        return;
    if (core->chunked && response_end_chunks(core) < 0) {
        wsgi_fail(core, "application");
        return;
    }
    if (core->left > 0 && !core->no_body) /* less than promised: only a closed connection tells the client */
        io->result |= RES_SHORT;
}

static void call_close(core_t *core, PyObject *result)
{
    PyObject *method = PyObject_GetAttr(result, close_name);
    if (!method) {
        PyErr_Clear();
        return;
    }
    PyObject *done = PyObject_CallObject(method, NULL);
    if (!done) {
        core->head_flushed = core->head_flushed || core->started;
        wsgi_report(core, "close() of the response");
    }
    Py_XDECREF(done);
    Py_DECREF(method);
}

void wsgi_signal(core_t *core)
{
    if (!core->signal)
        return;
    PyObject *done = PyObject_CallFunction(core->signal, "i", (int)core->io->uwsgi_signal);
    if (!done)
        wsgi_report(core, "signal handler");
    Py_XDECREF(done);
}

void wsgi_reset(core_t *core)
{
    core_io *io = core->io;
    io->result = io->switches = 0;
    io->sent = 0;
    io->app = 0;
    core->serial++;
    core->raw = core->muted = core->gone = core->completing = core->complete = 0;
    core->input = NULL;
    response_reset(core);
}

int wsgi_begin(core_t *core)
{
    wsgi_reset(core);
    core->environ = environ_build(core);
    return core->environ ? 0 : -1;
}

void wsgi_end(core_t *core)
{
    if (core->wait && !(core->io->result & RES_FAILED) && wsgi_flush(core, SEND_LAST) < 0)
        wsgi_report(core, "application");
    if (core->input) {
        input_detach(core->input);
        Py_CLEAR(core->input);
    }
    Py_CLEAR(core->environ);
}

void wsgi_handle(core_t *core)
{
    core_io *io = core->io;
    int begun = wsgi_begin(core) == 0;
    PyObject *app = core->app;
    if (io->flags & REQ_EVENT && core->event)
        app = core->event;
    else if (io->flags & REQ_SERVICE && core->service)
        app = core->service;
    PyObject *result = begun ? PyObject_CallFunctionObjArgs(app, core->environ, core->start_response, NULL) : NULL;
    if (!result || respond(core, result) < 0)
        wsgi_fail(core, "application");
    else
        wsgi_finish(core);
    if (result) {
        if (!PyList_Check(result) && !PyTuple_Check(result) && !PyBytes_Check(result)) {
            if (wsgi_flush(core, SEND_LAST) < 0) /* close() may take its time: the client does not wait for it */
                wsgi_report(core, "application");
            call_close(core, result);
        }
        Py_DECREF(result);
    }
    if (core->after && app == core->app) {
        PyObject *done = wsgi_flush(core, SEND_LAST) < 0 ? NULL : PyObject_CallObject(core->after, NULL);
        if (!done)
            wsgi_report(core, "after_req_hook");
        Py_XDECREF(done);
    }
    wsgi_end(core);
}
