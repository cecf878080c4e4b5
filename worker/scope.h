/* The scope of an ASGI application. */
#ifndef ENVOXYD_SCOPE_H
#define ENVOXYD_SCOPE_H

#include "wsgi.h"

typedef struct {
    int upgrade;
    PyObject *key; /* Sec-WebSocket-Key, borrowed from the scope; NULL: there is none */
} websocket_asked;

int scope_init(void);

/* A new scope of the variables in io. base: the keys that are always the same; dictionaries in it are copied. */
PyObject *scope_build(core_io *io, PyObject *base, websocket_asked *asked);

#endif
