/* The scope of an ASGI application. */
#ifndef ENVOXYD_SCOPE_H
#define ENVOXYD_SCOPE_H

#include "wsgi.h"

/* What a handshake consists of (RFC 6455, 4.2.1). */
typedef struct {
    int get, upgrade, connection, version;
    PyObject *key; /* Sec-WebSocket-Key, borrowed from the scope; NULL: there is none, or a wrong one */
} websocket_asked;

int scope_init(void);

/* A new scope of the variables in io. base: the keys that are always the same; dictionaries in it are copied. */
PyObject *scope_build(core_io *io, PyObject *base, websocket_asked *asked);

#endif
