/* WSGI (PEP 3333) on one core: request memory → environ → application → response memory. */
#ifndef ENVOXYD_WSGI_H
#define ENVOXYD_WSGI_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x03080000
#endif
#include <Python.h>

#include "shim.h"

typedef struct core_t {
    int index;
    core_io *io;
    PyObject *app;          /* called with environ and start_response */
    PyObject *event;        /* called in its place for events; may be NULL */
    PyObject *service;      /* likewise for what the server itself is asked for; may be NULL */
    PyObject *wait;         /* in a loop: wait(fd, milliseconds) -> bool: others go on until fd takes bytes; else NULL */
    PyObject *between;      /* in a loop: called behind each item of a response; may be NULL */
    PyObject *signal;       /* called with the number of a uwsgi signal; may be NULL */
    PyObject *base;         /* the environ that every request starts from */
    PyObject *scope;        /* likewise of an ASGI application's scope; may be NULL */
    PyObject *scope11;      /* for clients that speak HTTP/1.1 themselves */
    PyObject *after;        /* called when the response has left; may be NULL */
    PyObject *on_error;     /* on_error(type, value, traceback, where) -> None | (status, headers, body) */
    PyObject *file_wrapper; /* its class; .region() -> None | (fd, offset, size) */
    PyObject *add_headers;  /* bytes, appended to every head */
    PyObject *del_headers;  /* tuple of lower-case bytes */
    int strict;             /* --wsgi-strict: a bytes object is not an iterable */
    int any_buffer;         /* --wsgi-accept-buffer */
    int hold_errors;        /* --disable-write-exception */

    PyObject *start_response, *write;
    PyObject *environ; /* of the current request; of an ASGI application: its scope */
    uint32_t serial;   /* its number */
    PyObject *input;
    int64_t left;      /* of the Content-Length that the application gave; -1: none */
    int started;       /* start_response was called */
    int head_done;     /* the head is complete and counted */
    int head_flushed;  /* and on its way to the client */
    int chunked, no_body, app_te;
    int trailers; /* of ASGI: 1: announced, 2: begun */
    int routed, chunk; /* rules have seen the head; they want chunks */
    int gathering;     /* the body goes to gathered, until it is whole */
    char *gathered;
    size_t gathered_len, gathered_cap;
    int raw;   /* uwsgi.send() has sent something, a head perhaps */
    int muted; /* nothing more is sent */
    int gone;  /* because the client has left */
    int completing, complete; /* of ASGI: the last of the response leaves, or has left: the connection is another request's */
} core_t;

int wsgi_init(PyObject *module);
core_t *wsgi_core_new(int index, core_io *io, PyObject *settings);
void wsgi_core_free(core_t *core);

/* The core whose request the calling thread is in, or the calling coroutine, or NULL. */
core_t *wsgi_current(void);

/* The thread serves this core alone; NULL: none any more. */
void wsgi_serves(core_t *core);

/* Coroutines of one thread serve the cores: current() -> the core of the one that calls; NULL: it serves none. */
void wsgi_loop(core_t *(*current)(void));

/* Serves the request in core->io; never leaves an exception set. */
void wsgi_handle(core_t *core);

/* What wsgi_handle does before and after the application is called: 0, or -1 with an exception set. */
int wsgi_begin(core_t *core);
void wsgi_reset(core_t *core); /* the part of it without an environ */
void wsgi_end(core_t *core);

/* The application has given all of its response. */
void wsgi_finish(core_t *core);

/* The application raised: nothing of its answer that has not left yet is sent. The exception is reported. */
void wsgi_fail(core_t *core, const char *where);

/* Handles the uwsgi signal in core->io; never leaves an exception set. */
void wsgi_signal(core_t *core);

/* Hands the pending exception to on_error; `where` names the place. */
void wsgi_report(core_t *core, const char *where);

/* Sends what is in io->out; mode is SEND_WHOLE … 0, or -1 with OSError set. */
int wsgi_flush(core_t *core, int mode);

/* stackchunks.c: coroutines start faster from now on */
void keep_stack_chunks(void);

/* environ.c */
int environ_init(void);
PyObject *environ_build(core_t *core);

/* input.c */
int input_init(PyObject *module);
PyObject *input_new(core_t *core);
void input_detach(PyObject *input);

/* head.c: -1 with an exception set */
int out_put(core_io *io, const char *data, size_t size); /* appends to the output */
void response_reset(core_t *core);
int response_start(core_t *core, PyObject *status, PyObject *headers);
int response_start_octets(core_t *core, int status, PyObject *headers);
int response_lines(core_t *core, PyObject *headers);
int response_finish_head(core_t *core);

/* The bytes of a str as latin-1, without a copy where it is ASCII; *hold owns them. */
const char *latin1(PyObject *text, Py_ssize_t *size, PyObject **hold);

/* response.c: likewise */
int response_init(PyObject *module);
int response_bind(core_t *core);
int response_emit(core_t *core, const char *data, size_t size, int mode);
int response_raw(core_t *core, const char *data, size_t size);
int response_gathered(core_t *core); /* what was gathered is sent */
int response_end_head(core_t *core); /* of a head without what framing adds */
int response_end_chunks(core_t *core);
int response_trailers(core_t *core, PyObject *headers, int first, int last);

/* wsgi.c */
int response_file(core_t *core, int fd, int64_t offset, int64_t size); /* 1: done; 0: not in this framing */

/* shim.c: the descriptor of the client whose request the core serves; it is made where there is none. */
int client_descriptor(core_t *core);

#endif
