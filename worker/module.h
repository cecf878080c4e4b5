/* What the parts of the extension module share. */
#ifndef ENVOXYD_MODULE_H
#define ENVOXYD_MODULE_H

#include "wsgi.h"

extern core_io *cores;
extern int core_count;
extern int forked;    /* a child that the application forked: Go is not usable there */
extern core_t **bound; /* the cores that have served, by number */
extern int looped;    /* coroutines of one thread run them */

/* Whether Go can be called; sets an exception if not. */
int usable(void);

/* The core whose request the caller is in; NULL with an exception set. */
core_t *in_request(void);

/* shim.c: makes a core ready to serve; NULL with an exception set. */
core_t *bind_core(int index, PyObject *settings);

/* loop.c */
PyObject *shim_loop(PyObject *self, PyObject *current);
PyObject *shim_bind(PyObject *self, PyObject *args);
PyObject *shim_take(PyObject *self, PyObject *number);
PyObject *shim_finish(PyObject *self, PyObject *number);
PyObject *shim_handle(PyObject *self, PyObject *args);

/* routes.c */
PyObject *shim_outside(PyObject *self, PyObject *function);

/* websocket.c */
PyObject *shim_websocket_open(PyObject *self, PyObject *args);
PyObject *shim_websocket_context(PyObject *self, PyObject *unused);
PyObject *shim_websocket_receive(PyObject *self, PyObject *args);
PyObject *shim_websocket_send(PyObject *self, PyObject *args);
PyObject *shim_websocket_resume(PyObject *self, PyObject *args);
PyObject *shim_websocket_close(PyObject *self, PyObject *args);

/* asgi.c */
PyObject *shim_asgi_begin(PyObject *self, PyObject *number);
PyObject *shim_asgi_receive(PyObject *self, PyObject *number);
PyObject *shim_asgi_hint(PyObject *self, PyObject *args);
PyObject *shim_asgi_trailers(PyObject *self, PyObject *args);
PyObject *shim_asgi_file(PyObject *self, PyObject *args);
PyObject *shim_asgi_start(PyObject *self, PyObject *args);
PyObject *shim_asgi_body(PyObject *self, PyObject *args);
PyObject *shim_asgi_resume(PyObject *self, PyObject *args);
PyObject *shim_asgi_end(PyObject *self, PyObject *args);

#endif
