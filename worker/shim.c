/* The extension module _envoxyd: what the worker's Python calls. */
#define PY_SSIZE_T_CLEAN
#include "module.h"
#include "_cgo_export.h"
#include "shared/caches.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

core_io *cores;
int core_count;
core_t **bound;
int forked;

uint32_t envoxyd_leaving;
uint32_t envoxyd_forks;

/* Before the fork and after it: a connection that another thread accepts or closes in between is not missed. */
static void count_fork(void)
{
    __atomic_add_fetch(&envoxyd_forks, 1, __ATOMIC_RELEASE);
}

int usable(void)
{
    if (!forked && cores)
        return 1;
    PyErr_SetString(PyExc_RuntimeError, forked ? "envoxyd is not usable in a process that a worker forked" : "the worker has not been started");
    return 0;
}

/* start(spec: bytes, worker: int, cores: int, caches: capsule): loads the Go runtime's part of the worker. */
static PyObject *shim_start(PyObject *self, PyObject *args)
{
    const char *spec;
    Py_ssize_t size;
    int worker, count;
    PyObject *capsule;
    char problem[512] = "";
    if (!PyArg_ParseTuple(args, "y#iiO", &spec, &size, &worker, &count, &capsule))
        return NULL;
    void *caches = PyCapsule_GetPointer(capsule, CACHE_FUNCTIONS);
    if (!caches)
        return NULL;
    if (cores || count < 1) {
        PyErr_SetString(PyExc_RuntimeError, "the worker was started before");
        return NULL;
    }
    if (pthread_atfork(count_fork, count_fork, NULL))
        return PyErr_NoMemory();
    core_io *made = calloc((size_t)count, sizeof(core_io));
    bound = calloc((size_t)count, sizeof *bound);
    if (!made || !bound)
        return PyErr_NoMemory();
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = envoxyd_start((char *)spec, (int)size, worker, made, count, caches, problem, (int)sizeof problem - 1);
    Py_END_ALLOW_THREADS
    if (failed) {
        PyErr_SetString(PyExc_RuntimeError, problem);
        return NULL;
    }
    cores = made;
    core_count = count;
    Py_RETURN_NONE;
}

core_t *bind_core(int index, PyObject *settings)
{
    if (index < 0 || index >= core_count) {
        PyErr_SetString(PyExc_ValueError, "no such core");
        return NULL;
    }
    return bound[index] = wsgi_core_new(index, &cores[index], settings);
}

/* The wait for Python's lock is over: it counts as time in the queue. */
static void note_entered(core_io *io)
{
    struct timespec now;
    if (!clock_gettime(CLOCK_MONOTONIC, &now))
        io->entered = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* serve(core: int, wsgi: dict): runs one core until the worker stops. */
static PyObject *shim_serve(PyObject *self, PyObject *args)
{
    int index;
    PyObject *settings;
    if (!PyArg_ParseTuple(args, "iO!", &index, &PyDict_Type, &settings) || !usable())
        return NULL;
    core_t *core = bind_core(index, settings);
    if (!core)
        return NULL;
    wsgi_serves(core);
    for (;;) {
        int next;
        Py_BEGIN_ALLOW_THREADS
        next = envoxyd_next(index);
        Py_END_ALLOW_THREADS
        __atomic_store_n(&cores[index].running, 1, __ATOMIC_RELEASE);
        if (next == NEXT_STOP)
            break;
        if (next == NEXT_SIGNAL) {
            if (PyErr_CheckSignals() < 0)
                wsgi_report(core, "signal handler");
            continue;
        }
        if (next == NEXT_UWSGI_SIGNAL) {
            wsgi_signal(core);
        } else {
            note_entered(&cores[index]);
            wsgi_handle(core);
        }
        if (forked) /* the application forked and came back here: two processes cannot serve one connection */
            _exit(1);
    }
    wsgi_serves(NULL);
    wsgi_core_free(core);
    Py_RETURN_NONE;
}

/* forked(): in a child that the application forked. Go's handlers have no runtime behind them there. */
static PyObject *shim_forked(PyObject *self, PyObject *unused)
{
    static const int gos[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGURG, END_CALLS};
    forked = 1;
    for (int i = 0; i < core_count; i++) { /* or the gateway would not see that the worker ended */
        if (cores[i].link_fd >= 0)
            close(cores[i].link_fd);
        if (cores[i].event_fd >= 0 && cores[i].event_fd != cores[i].link_fd)
            close(cores[i].event_fd);
    }
    for (size_t i = 0; i < sizeof gos / sizeof *gos; i++)
        signal(gos[i], SIG_DFL);
    Py_RETURN_NONE;
}

/* stop(status: int): finish what is in flight, then leave with status. */
static PyObject *shim_stop(PyObject *self, PyObject *args)
{
    int status;
    if (!PyArg_ParseTuple(args, "i", &status) || !usable())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    envoxyd_stop(status);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* status() -> the status that the worker is to leave with. */
static PyObject *shim_status(PyObject *self, PyObject *unused)
{
    return usable() ? PyLong_FromLong(envoxyd_status()) : NULL;
}

/* ready(): the application is there; the master may count on this worker. */
static PyObject *shim_ready(PyObject *self, PyObject *unused)
{
    if (!usable())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    envoxyd_ready();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

core_t *in_request(void)
{
    core_t *core = usable() ? wsgi_current() : NULL;
    if (!core && !PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "you are not in a request");
    return core;
}

int client_descriptor(core_t *core)
{
    if (core->io->client_fd < 0 && !forked)
        envoxyd_open(core->index);
    return core->io->client_fd;
}

/* request() -> (core, the client's descriptor, environ, start_response, write) of the request in hand. */
static PyObject *shim_request(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    return core ? Py_BuildValue("iiOOO", core->index, client_descriptor(core), core->environ, core->start_response, core->write) : NULL;
}

/* disconnect(): the client is answered; the application goes on without it. */
static PyObject *shim_disconnect(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    if (!core)
        return NULL;
    wsgi_flush(core, SEND_WHOLE);
    core->muted = 1;
    core->io->result |= RES_BROKEN;
    int index = core->index;
    Py_BEGIN_ALLOW_THREADS
    envoxyd_disconnect(index);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* send(data) -> bool: to the client as it is, behind what was sent before. */
static PyObject *shim_send(PyObject *self, PyObject *args)
{
    const char *data;
    Py_ssize_t size;
    core_t *core = in_request();
    if (!core || !PyArg_ParseTuple(args, "y#", &data, &size))
        return NULL;
    int failed = response_raw(core, data, (size_t)size) < 0;
    PyErr_Clear();
    return PyBool_FromLong(!failed);
}

/* chunks() -> (where the chunks of the body end, as native int64s; wsgi.input); None: it did not come in chunks. */
static PyObject *shim_chunks(PyObject *self, PyObject *unused)
{
    int64_t ends[1024];
    core_t *core = in_request();
    if (!core)
        return NULL;
    int count = envoxyd_chunks(core->index, ends, 1024);
    if (count < 0)
        Py_RETURN_NONE;
    return Py_BuildValue("y#O", (const char *)ends, count * (Py_ssize_t)sizeof *ends, core->input);
}

/* user_harakiri(seconds): kill this worker if the request lasts longer; 0 disarms. */
static PyObject *shim_user_harakiri(PyObject *self, PyObject *args)
{
    int seconds;
    if (!PyArg_ParseTuple(args, "i", &seconds))
        return NULL;
    core_t *core = in_request();
    if (!core)
        return NULL;
    envoxyd_user_harakiri(core->index, seconds);
    Py_RETURN_NONE;
}

/* set_app(id): which application serves the request, for the log. */
static PyObject *shim_set_app(PyObject *self, PyObject *args)
{
    int id;
    if (!PyArg_ParseTuple(args, "i", &id))
        return NULL;
    core_t *core = in_request();
    if (!core)
        return NULL;
    core->io->app = id;
    Py_RETURN_NONE;
}

/* log_this_request(): a line for it even where logging is off. */
static PyObject *shim_log_this(PyObject *self, PyObject *unused)
{
    core_t *core = in_request();
    if (!core)
        return NULL;
    envoxyd_log_this(core->index);
    Py_RETURN_NONE;
}

/* set_logvar(name, value): for %(name) in the request's log line. */
static PyObject *shim_set_logvar(PyObject *self, PyObject *args)
{
    const char *name, *value;
    Py_ssize_t name_len, size;
    if (!PyArg_ParseTuple(args, "s#s#", &name, &name_len, &value, &size))
        return NULL;
    core_t *core = in_request();
    if (!core)
        return NULL;
    envoxyd_set_logvar(core->index, (char *)name, (size_t)name_len, (char *)value, (size_t)size);
    Py_RETURN_NONE;
}

/* get_logvar(name) -> its value as bytes, or None. */
static PyObject *shim_get_logvar(PyObject *self, PyObject *args)
{
    const char *name;
    char value[256];
    Py_ssize_t name_len;
    if (!PyArg_ParseTuple(args, "s#", &name, &name_len))
        return NULL;
    core_t *core = in_request();
    if (!core)
        return NULL;
    int size = envoxyd_get_logvar(core->index, (char *)name, (size_t)name_len, value, sizeof value);
    if (size < 0)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(value, size);
}

static PyThreadState *first_core; /* core 0's, while it has let go of the GIL for a call */

/* Go, on core 0's thread, during its call: Python's signal handlers run now. Other than 0: one has raised. */
int envoxyd_run_signal_handlers(void)
{
    PyEval_RestoreThread(first_core);
    int raised = PyErr_CheckSignals() < 0;
    first_core = PyEval_SaveThread(); /* a handler may have made a call of its own */
    return raised;
}

/* call(service: str, operation: int, payload: bytes) -> bytes: one call of a connector that is written in Go.
 * The payload stays the caller's and is not read after the call; the reply is copied once. */
static PyObject *shim_call(PyObject *self, PyObject *args)
{
    const char *name, *payload;
    Py_ssize_t name_len, size;
    int operation, failed;
    char *reply = NULL;
    size_t reply_len = 0;
    if (!PyArg_ParseTuple(args, "s#iy#", &name, &name_len, &operation, &payload, &size) || !usable())
        return NULL;
    core_t *core = wsgi_current();
    int index = !core ? -1 : looped ? 0 : core->index; /* a loop's cores share the thread of core 0 */
    PyThreadState *state = PyEval_SaveThread();
    if (index == 0)
        first_core = state;
    failed = envoxyd_call(index, (char *)name, (size_t)name_len, operation, (char *)payload, (size_t)size, &reply, &reply_len);
    PyEval_RestoreThread(state);
    PyObject *result = NULL;
    if (PyErr_Occurred()) /* a signal handler's */
        ;
    else if (failed) {
        PyObject *text = PyUnicode_DecodeUTF8(reply, (Py_ssize_t)reply_len, "replace");
        if (text)
            PyErr_SetObject(PyExc_RuntimeError, text);
        Py_XDECREF(text);
    } else
        result = PyBytes_FromStringAndSize(reply, (Py_ssize_t)reply_len);
    free(reply);
    return result;
}

/* usable() -> bool: whether call() reaches anything in this process. */
static PyObject *shim_usable(PyObject *self, PyObject *unused)
{
    return PyBool_FromLong(!forked && cores);
}

/* close_services(): ends the connectors' connections. */
static PyObject *shim_close_services(PyObject *self, PyObject *unused)
{
    if (!usable())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    envoxyd_close_services();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* alternate_stacks(): Python before 3.10 installs handlers without SA_ONSTACK;
 * on a Go thread's small stack they would end the process. */
static PyObject *shim_alternate_stacks(PyObject *self, PyObject *unused)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) < 0 || action.sa_flags & SA_ONSTACK || action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
            continue;
        action.sa_flags |= SA_ONSTACK;
        sigaction(number, &action, NULL);
    }
    Py_RETURN_NONE;
}

/* take_signal(number): from now on it is Go's, which has its handler in place; to Python it has none, as in uWSGI.
 * signal.signal() puts the default into force for a moment. */
static PyObject *shim_take_signal(PyObject *self, PyObject *number)
{
    struct sigaction of_go;
    long n = PyLong_AsLong(number);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    PyObject *module = PyImport_ImportModule("signal"), *old = NULL;
    PyObject *install = module ? PyObject_GetAttrString(module, "signal") : NULL;
    PyObject *none = module ? PyObject_GetAttrString(module, "SIG_DFL") : NULL;
    if (install && none) {
        if (sigaction((int)n, NULL, &of_go) < 0)
            PyErr_SetFromErrno(PyExc_OSError);
        else {
            old = PyObject_CallFunctionObjArgs(install, number, none, NULL);
            sigaction((int)n, &of_go, NULL);
        }
    }
    Py_XDECREF(none);
    Py_XDECREF(install);
    Py_XDECREF(module);
    return old;
}

/* wakeup_fd() -> where Python's signal handlers are to write so that core 0 wakes up. */
static PyObject *shim_wakeup_fd(PyObject *self, PyObject *unused)
{
    return usable() ? PyLong_FromLong(envoxyd_wakeup_fd()) : NULL;
}

static PyMethodDef methods[] = {
    {"start", shim_start, METH_VARARGS, NULL},
    {"serve", shim_serve, METH_VARARGS, NULL},
    {"websocket_open", shim_websocket_open, METH_VARARGS, NULL},
    {"websocket_context", shim_websocket_context, METH_NOARGS, NULL},
    {"websocket_receive", shim_websocket_receive, METH_VARARGS, NULL},
    {"websocket_send", shim_websocket_send, METH_VARARGS, NULL},
    {"websocket_resume", shim_websocket_resume, METH_VARARGS, NULL},
    {"websocket_close", shim_websocket_close, METH_VARARGS, NULL},
    {"asgi_begin", shim_asgi_begin, METH_O, NULL},
    {"asgi_receive", shim_asgi_receive, METH_O, NULL},
    {"asgi_hint", shim_asgi_hint, METH_VARARGS, NULL},
    {"asgi_trailers", shim_asgi_trailers, METH_VARARGS, NULL},
    {"asgi_file", shim_asgi_file, METH_VARARGS, NULL},
    {"asgi_start", shim_asgi_start, METH_VARARGS, NULL},
    {"asgi_body", shim_asgi_body, METH_VARARGS, NULL},
    {"asgi_resume", shim_asgi_resume, METH_VARARGS, NULL},
    {"asgi_end", shim_asgi_end, METH_VARARGS, NULL},
    {"outside", shim_outside, METH_O, NULL},
    {"loop", shim_loop, METH_O, NULL},
    {"bind", shim_bind, METH_VARARGS, NULL},
    {"take", shim_take, METH_O, NULL},
    {"finish", shim_finish, METH_O, NULL},
    {"handle", shim_handle, METH_VARARGS, NULL},
    {"ready", shim_ready, METH_NOARGS, NULL},
    {"stop", shim_stop, METH_VARARGS, NULL},
    {"status", shim_status, METH_NOARGS, NULL},
    {"alternate_stacks", shim_alternate_stacks, METH_NOARGS, NULL},
    {"take_signal", shim_take_signal, METH_O, NULL},
    {"call", shim_call, METH_VARARGS, NULL},
    {"usable", shim_usable, METH_NOARGS, NULL},
    {"close_services", shim_close_services, METH_NOARGS, NULL},
    {"wakeup_fd", shim_wakeup_fd, METH_NOARGS, NULL},
    {"forked", shim_forked, METH_NOARGS, NULL},
    {"request", shim_request, METH_NOARGS, NULL},
    {"disconnect", shim_disconnect, METH_NOARGS, NULL},
    {"send", shim_send, METH_VARARGS, NULL},
    {"chunks", shim_chunks, METH_NOARGS, NULL},
    {"user_harakiri", shim_user_harakiri, METH_VARARGS, NULL},
    {"set_app", shim_set_app, METH_VARARGS, NULL},
    {"set_logvar", shim_set_logvar, METH_VARARGS, NULL},
    {"get_logvar", shim_get_logvar, METH_VARARGS, NULL},
    {"log_this_request", shim_log_this, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_envoxyd", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__envoxyd(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && wsgi_init(made) < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
