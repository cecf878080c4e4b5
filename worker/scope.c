/* From a uwsgi variable block to the scope of an ASGI application (HTTP & WebSocket specification, 2.4). */
#include "scope.h"
#include "names.h"

#include <string.h>
#include <strings.h>

enum kind { NONE, METHOD, PATH, SCRIPT, URI, QUERY, PROTOCOL, ADDR, PORT, SERVER, SERVER_PORT, KINDS,
            HEADER = KINDS, UPGRADE, CONNECTION, WEBSOCKET_KEY, WEBSOCKET_VERSION };

static const struct {
    const char *name;
    enum kind kind;
} variables[] = {
    {"REQUEST_METHOD", METHOD}, {"PATH_INFO", PATH}, {"SCRIPT_NAME", SCRIPT}, {"REQUEST_URI", URI}, {"QUERY_STRING", QUERY},
    {"SERVER_PROTOCOL", PROTOCOL}, {"REMOTE_ADDR", ADDR}, {"REMOTE_PORT", PORT}, {"SERVER_NAME", SERVER}, {"SERVER_PORT", SERVER_PORT},
    {"CONTENT_TYPE", HEADER}, {"CONTENT_LENGTH", HEADER}, {"HTTP_UPGRADE", UPGRADE}, {"HTTP_CONNECTION", CONNECTION},
    {"HTTP_SEC_WEBSOCKET_KEY", WEBSOCKET_KEY}, {"HTTP_SEC_WEBSOCKET_VERSION", WEBSOCKET_VERSION},
};

static enum kind kind_of(const char *name, Py_ssize_t size)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (strlen(variables[i].name) == (size_t)size && !memcmp(variables[i].name, name, (size_t)size))
            return variables[i].kind;
    return size > 5 && !memcmp(name, "HTTP_", 5) ? HEADER : NONE;
}

/* The name of a header as it was sent, but in lower case; a variable that is none: None. */
static PyObject *make_key(const char *name, Py_ssize_t size, int *kind)
{
    *kind = kind_of(name, size);
    if (*kind < HEADER) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    if (!memcmp(name, "HTTP_", 5)) {
        name += 5;
        size -= 5;
    }
    PyObject *key = PyBytes_FromStringAndSize(name, size);
    char *text = key ? PyBytes_AsString(key) : NULL;
    for (Py_ssize_t i = 0; text && i < size; i++)
        text[i] = text[i] == '_' ? '-' : text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    return key;
}

static PyObject *number(const char *text, Py_ssize_t size)
{
    long n = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || i > 8)
            return PyLong_FromLong(0);
        n = n * 10 + (text[i] - '0');
    }
    return PyLong_FromLong(n);
}

/* The path of a request target, which may be a URL, as it was sent. */
static PyObject *path_of(const char *text, Py_ssize_t size)
{
    const char *end = text + size, *at = text;
    while (at < end && *at != '/' && *at != '?')
        at++;
    if (at > text && at[-1] == ':' && end - at > 1 && at[1] == '/') {
        for (text = at + 2; text < end && *text != '/' && *text != '?';)
            text++;
        at = text;
    }
    while (at < end && *at != '?' && *at != '#')
        at++;
    return PyBytes_FromStringAndSize(text, at - text);
}

static PyObject *value_of(int kind, PyObject *key, const char *text, Py_ssize_t size)
{
    const char *at;
    PyObject *value, *pair;
    switch (kind) {
    case METHOD: case ADDR: case SERVER:
        return PyUnicode_DecodeLatin1(text, size, NULL);
    case PATH: case SCRIPT:
        return PyUnicode_DecodeUTF8(text, size, "replace");
    case PROTOCOL:
        at = memchr(text, '/', (size_t)size);
        if (size == 8 && (!memcmp(text, "HTTP/2.0", 8) || !memcmp(text, "HTTP/3.0", 8)))
            size -= 2; /* ASGI has no minor version there */
        return PyUnicode_DecodeLatin1(at ? at + 1 : text, at ? text + size - at - 1 : 0, NULL);
    case URI:
        return path_of(text, size);
    case QUERY:
        return PyBytes_FromStringAndSize(text, size);
    case PORT: case SERVER_PORT:
        return number(text, size);
    }
    value = PyBytes_FromStringAndSize(text, size);
    pair = value ? PyTuple_Pack(2, key, value) : NULL;
    Py_XDECREF(value);
    return pair;
}

static PyObject *make_value(const name_t *name, const char *text, Py_ssize_t size)
{
    return value_of(name->kind, name->key, text, size);
}

static names_t names = {.make_key = make_key, .make_value = make_value};
static PyObject *keys[KINDS], *headers_key, *root_path, *client, *server, *scheme, *https, *empty, *nothing, *zero;

int scope_init(void)
{
    static const struct {
        PyObject **object;
        const char *text;
    } texts[] = {
        {&keys[METHOD], "method"}, {&keys[PATH], "path"}, {&keys[URI], "raw_path"}, {&keys[QUERY], "query_string"},
        {&keys[PROTOCOL], "http_version"}, {&headers_key, "headers"}, {&root_path, "root_path"}, {&client, "client"},
        {&server, "server"}, {&scheme, "scheme"}, {&https, "https"}, {&empty, ""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i].object = PyUnicode_InternFromString(texts[i].text)))
            return -1;
    nothing = PyBytes_FromStringAndSize("", 0);
    zero = PyLong_FromLong(0);
    return names_init(&names) == 0 && nothing && zero ? 0 : -1;
}

/* Whether a header that is a list has the token, in whatever case. */
static int lists(const char *text, size_t size, const char *token)
{
    size_t length = strlen(token);
    for (size_t at = 0, end; at < size; at = end + 1) {
        while (at < size && (text[at] == ' ' || text[at] == '\t'))
            at++;
        for (end = at; end < size && text[end] != ',';)
            end++;
        size_t last = end;
        while (last > at && (text[last - 1] == ' ' || text[last - 1] == '\t'))
            last--;
        if (last - at == length && !strncasecmp(text + at, token, length))
            return 1;
    }
    return 0;
}

/* The variable's value goes into found, or into the headers. */
static int take(PyObject **found, PyObject *headers, websocket_asked *asked, const variable_t *v)
{
    name_t *known = names_find(&names, v->name, v->name_len);
    const char *name = (const char *)v->name, *text = (const char *)v->text;
    int scratch, kind = known ? known->kind : (int)kind_of(name, v->name_len);
    if (kind == NONE || (kind == HEADER && !v->size && memcmp(name, "HTTP_", 5)))
        return 0; /* front ends send CONTENT_TYPE and CONTENT_LENGTH always */
    PyObject *key = known ? known->key : make_key(name, v->name_len, &scratch);
    PyObject *value = !key ? NULL : known ? names_value(&names, known, v->text, v->size) : value_of(kind, key, text, v->size);
    if (!known)
        Py_XDECREF(key);
    if (!value)
        return -1;
    if (kind < HEADER) {
        Py_XDECREF(found[kind]);
        found[kind] = value;
        return 0;
    }
    if (kind == UPGRADE)
        asked->upgrade = lists(text, (size_t)v->size, "websocket");
    else if (kind == CONNECTION)
        asked->connection = lists(text, (size_t)v->size, "upgrade");
    else if (kind == WEBSOCKET_VERSION)
        asked->version = v->size == 2 && !memcmp(text, "13", 2);
    else if (kind == WEBSOCKET_KEY && v->size == 24) /* 16 bytes in base64 */
        asked->key = PyTuple_GetItem(value, 1);
    int failed = PyList_Append(headers, value) < 0;
    Py_DECREF(value);
    return failed ? -1 : 0;
}

static int put(PyObject *scope, PyObject *key, PyObject *value)
{
    return value ? PyDict_SetItem(scope, key, value) : -1;
}

/* (host, port); no host: what stands in the base. */
static int put_address(PyObject *scope, PyObject *key, PyObject *host, PyObject *port)
{
    if (!host || PyUnicode_GetLength(host) == 0)
        return 0;
    PyObject *pair = PyTuple_Pack(2, host, port ? port : zero);
    int failed = put(scope, key, pair);
    Py_XDECREF(pair);
    return failed;
}

static int put_all(PyObject *scope, PyObject **found)
{
    static const enum kind plain[] = {METHOD, URI, QUERY, PROTOCOL};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (found[plain[i]] && put(scope, keys[plain[i]], found[plain[i]]) < 0)
            return -1;
    PyObject *path = found[PATH] ? found[PATH] : empty;
    if (found[SCRIPT] && PyUnicode_GetLength(found[SCRIPT]) > 0) {
        PyObject *whole = PyUnicode_Concat(found[SCRIPT], path);
        int failed = put(scope, root_path, found[SCRIPT]) < 0 || put(scope, keys[PATH], whole) < 0;
        Py_XDECREF(whole);
        if (failed)
            return -1;
    } else if (put(scope, keys[PATH], path) < 0) {
        return -1;
    }
    if (!found[QUERY] && put(scope, keys[QUERY], nothing) < 0)
        return -1;
    return put_address(scope, client, found[ADDR], found[PORT]) < 0 || put_address(scope, server, found[SERVER], found[SERVER_PORT]) < 0 ? -1 : 0;
}

/* Values of the base that the application may change are its own. */
static PyObject *copy_of(PyObject *base)
{
    PyObject *scope = PyDict_Copy(base), *key, *value;
    Py_ssize_t at = 0;
    while (scope && PyDict_Next(base, &at, &key, &value)) {
        if (!PyDict_Check(value))
            continue;
        PyObject *copy = PyDict_Copy(value);
        if (!copy || PyDict_SetItem(scope, key, copy) < 0)
            Py_CLEAR(scope);
        Py_XDECREF(copy);
    }
    return scope;
}

PyObject *scope_build(core_io *io, PyObject *base, websocket_asked *asked)
{
    PyObject *found[KINDS] = {NULL}, *scope = copy_of(base), *headers = PyList_New(0);
    int failed = !scope || !headers;
    const uint8_t *at = io->vars, *end = at + io->vars_len;
    *asked = (websocket_asked){0, 0, 0, 0, NULL};
    while (!failed && at < end) {
        variable_t v;
        at = next_variable(at, &v);
        failed = take(found, headers, asked, &v) < 0;
    }
    failed = failed || put_all(scope, found) < 0 || put(scope, headers_key, headers) < 0 ||
             (io->flags & REQ_HTTPS && put(scope, scheme, https) < 0);
    asked->get = found[METHOD] && PyUnicode_CompareWithASCIIString(found[METHOD], "GET") == 0;
    for (int i = 0; i < KINDS; i++)
        Py_XDECREF(found[i]);
    Py_XDECREF(headers);
    if (failed)
        Py_CLEAR(scope);
    return scope;
}
