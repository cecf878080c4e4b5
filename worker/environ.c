/* From a uwsgi variable block to the environ dict. */
#include "wsgi.h"

#include "names.h"

#include <string.h>

static PyObject *make_key(const char *name, Py_ssize_t size, int *ours);
static PyObject *make_value(const name_t *name, const char *text, Py_ssize_t size);

static names_t names = {.make_key = make_key, .make_value = make_value};
static PyObject *url_scheme, *https, *wsgi_input, *input_terminated;

int environ_init(void)
{
    url_scheme = PyUnicode_InternFromString("wsgi.url_scheme");
    https = PyUnicode_InternFromString("https");
    wsgi_input = PyUnicode_InternFromString("wsgi.input");
    input_terminated = PyUnicode_InternFromString("wsgi.input_terminated");
    return names_init(&names) == 0 && url_scheme && https && wsgi_input && input_terminated ? 0 : -1;
}

/* Names that the server alone sets: a peer's wsgi.errors or wsgi.url_scheme would replace ours. */
static int is_ours(const char *name, Py_ssize_t size)
{
    return (size >= 5 && !memcmp(name, "wsgi.", 5)) || (size >= 6 && !memcmp(name, "uwsgi.", 6));
}

static PyObject *make_key(const char *name, Py_ssize_t size, int *ours)
{
    PyObject *key = PyUnicode_DecodeLatin1(name, size, NULL);
    if (key)
        PyUnicode_InternInPlace(&key);
    *ours = is_ours(name, size);
    return key;
}

static PyObject *make_value(const name_t *name, const char *text, Py_ssize_t size)
{
    return PyUnicode_DecodeLatin1(text, size, NULL);
}

static int add(PyObject *environ, const variable_t *v)
{
    name_t *known = names_find(&names, v->name, v->name_len);
    if (known ? known->kind : is_ours((const char *)v->name, v->name_len))
        return 0;
    if (known) {
        PyObject *value = names_value(&names, known, v->text, v->size);
        int failed = !value || PyDict_SetItem(environ, known->key, value) < 0;
        Py_XDECREF(value);
        return failed ? -1 : 0;
    }
    PyObject *key = PyUnicode_DecodeLatin1((const char *)v->name, v->name_len, NULL);
    PyObject *value = PyUnicode_DecodeLatin1((const char *)v->text, v->size, NULL);
    int failed = !key || !value || PyDict_SetItem(environ, key, value) < 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

PyObject *environ_build(core_t *core)
{
    core_io *io = core->io;
    PyObject *environ = PyDict_Copy(core->base);
    if (!environ)
        return NULL;
    const uint8_t *at = io->vars, *end = at + io->vars_len;
    while (at < end) {
        variable_t v;
        at = next_variable(at, &v);
        if (add(environ, &v) < 0)
            goto failed;
    }
    if (io->flags & REQ_HTTPS && PyDict_SetItem(environ, url_scheme, https) < 0)
        goto failed;
    if (io->flags & REQ_TERMINATED && PyDict_SetItem(environ, input_terminated, Py_True) < 0)
        goto failed;
    core->input = input_new(core);
    if (!core->input || PyDict_SetItem(environ, wsgi_input, core->input) < 0)
        goto failed;
    return environ;
failed:
    Py_DECREF(environ);
    return NULL;
}
