/* The part of the extension module for the internal routing: what rules ask Python for, and heads that they have changed. */
#include "module.h"
#include "_cgo_export.h"

#include <stdlib.h>
#include <string.h>

static PyObject *answerer; /* (what: str, arguments: bytes) -> bytes | None */

/* outside(function): what answers the rules' questions. */
PyObject *shim_outside(PyObject *self, PyObject *function)
{
    Py_INCREF(function);
    Py_XDECREF(answerer);
    answerer = function;
    Py_RETURN_NONE;
}

char *envoxyd_ask(const char *what, const char *arguments, size_t size, size_t *answer_size)
{
    char *bytes, *copy = NULL;
    Py_ssize_t length;
    if (!answerer)
        return NULL;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *pending[3];
    PyErr_Fetch(&pending[0], &pending[1], &pending[2]);
    PyObject *answer = PyObject_CallFunction(answerer, "sy#", what, arguments, (Py_ssize_t)size);
    if (answer && PyBytes_Check(answer) && PyBytes_AsStringAndSize(answer, &bytes, &length) == 0) {
        copy = malloc(length ? (size_t)length : 1);
        if (copy)
            memcpy(copy, bytes, (size_t)length);
        *answer_size = (size_t)length;
    }
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(answerer);
    Py_XDECREF(answer);
    PyErr_Restore(pending[0], pending[1], pending[2]);
    PyGILState_Release(state);
    return copy;
}

uint8_t *envoxyd_out_room(core_io *io, size_t size)
{
    if (size > io->out_cap) {
        uint8_t *grown = realloc(io->out, size);
        if (!grown)
            return NULL;
        io->out = grown;
        io->out_cap = (uint32_t)size;
    }
    return io->out;
}
