/* The head of a response: status line, header fields, and what framing adds to them. */
#include "wsgi.h"
#include "_cgo_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Exported by every CPython since 3.3, though part of the stable ABI only from 3.10 on. */
const char *PyUnicode_AsUTF8AndSize(PyObject *unicode, Py_ssize_t *size);

const char *latin1(PyObject *text, Py_ssize_t *size, PyObject **hold)
{
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, size);
    if (utf8 && *size == PyUnicode_GetLength(text))
        return utf8;
    PyErr_Clear();
    char *bytes = NULL;
    *hold = PyUnicode_AsLatin1String(text);
    if (!*hold || PyBytes_AsStringAndSize(*hold, &bytes, size) < 0)
        return NULL;
    return bytes;
}

/* Room for size more bytes of output. */
static char *room(core_io *io, size_t size)
{
    if (io->out_cap - io->out_len < size) {
        size_t cap = io->out_cap;
        while (cap - io->out_len < size)
            cap *= 2;
        uint8_t *grown = realloc(io->out, cap);
        if (!grown) {
            PyErr_NoMemory();
            return NULL;
        }
        io->out = grown;
        io->out_cap = (uint32_t)cap;
    }
    return (char *)io->out + io->out_len;
}

int out_put(core_io *io, const char *data, size_t size)
{
    char *to = room(io, size);
    if (!to)
        return -1;
    memcpy(to, data, size);
    io->out_len += (uint32_t)size;
    return 0;
}

static const struct {
    uint16_t code;
    const char *text;
} phrases[] = {
    {100, "Continue"}, {101, "Switching Protocols"}, {103, "Early Hints"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"},
    {203, "Non-Authoritative Information"}, {204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"},
    {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
    {307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"},
    {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
    {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Request Entity Too Large"}, {414, "Request-URI Too Long"},
    {415, "Unsupported Media Type"}, {416, "Requested Range Not Satisfiable"}, {417, "Expectation Failed"}, {418, "I'm a teapot"},
    {422, "Unprocessable Entity"}, {425, "Too Early"}, {426, "Upgrade Required"}, {428, "Precondition Required"},
    {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
    {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
};

static const char *phrase(unsigned code)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].code == code)
            return phrases[i].text;
    return "Unknown";
}

void response_reset(core_t *core)
{
    core_io *io = core->io;
    io->out_len = io->head_len = io->headers = io->status = 0;
    io->result &= RES_EXCEPTION;
    core->left = -1;
    core->started = core->head_done = core->head_flushed = 0;
    core->chunked = core->app_te = core->trailers = 0;
    core->routed = core->chunk = core->gathering = 0;
    core->gathered_len = 0;
    core->no_body = (io->flags & REQ_NO_BODY) != 0;
}

static int put_status(core_t *core, const char *text, size_t size)
{
    core_io *io = core->io;
    if (size < 3 || memchr(text, '\r', size) || memchr(text, '\n', size)) {
        PyErr_SetString(PyExc_ValueError, "http status must be three digits and a phrase, without line breaks");
        return -1;
    }
    for (int i = 0; i < 3; i++)
        io->status = io->status * 10 + (uint32_t)(text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 0);
    const char *line = io->flags & REQ_STATUS ? "Status: " : io->flags & REQ_HTTP10 ? "HTTP/1.0 " : "HTTP/1.1 ";
    if (out_put(io, line, strlen(line)) < 0 || out_put(io, text, size) < 0)
        return -1;
    if (size == 3 && (out_put(io, " ", 1) < 0 || out_put(io, phrase(io->status), strlen(phrase(io->status))) < 0))
        return -1;
    if (io->status == 204 || io->status == 304 || io->status < 200)
        core->no_body = 1;
    return out_put(io, "\r\n", 2);
}

static int put_status_object(core_t *core, PyObject *status)
{
    PyObject *hold = NULL;
    Py_ssize_t size;
    if (!PyUnicode_Check(status)) {
        PyErr_SetString(PyExc_TypeError, "http status must be a string");
        return -1;
    }
    const char *text = latin1(status, &size, &hold);
    int failed = !text || put_status(core, text, (size_t)size) < 0;
    Py_XDECREF(hold);
    return failed ? -1 : 0;
}

/* What the header means for the framing of the response. */
static void note(core_t *core, const char *name, size_t name_len, const char *value, size_t size)
{
    if (name_len == 14 && !strncasecmp(name, "content-length", 14)) {
        int64_t n = 0;
        for (size_t i = 0; i < size; i++) {
            if (value[i] < '0' || value[i] > '9' || i > 17)
                return;
            n = n * 10 + (value[i] - '0');
        }
        core->left = size ? n : -1;
    } else if (name_len == 17 && !strncasecmp(name, "transfer-encoding", 17)) {
        core->app_te = 1;
    } else if (name_len == 10 && !strncasecmp(name, "connection", 10) && size == 5 && !strncasecmp(value, "close", 5)) {
        core->io->result |= RES_CLOSE;
    }
}

static int deleted(core_t *core, const char *name, size_t size)
{
    Py_ssize_t count = core->del_headers ? PyTuple_Size(core->del_headers) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        char *banned;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(core->del_headers, i), &banned, &length) == 0 && (size_t)length == size &&
            !strncasecmp(banned, name, size))
            return 1;
    }
    return 0;
}

static int breaks_line(const char *text, size_t size)
{
    return memchr(text, '\r', size) || memchr(text, '\n', size);
}

static int put_line(core_t *core, const char *name, size_t name_len, const char *text, size_t size)
{
    core_io *io = core->io;
    if (name_len == 0 || breaks_line(name, name_len) || memchr(name, ':', name_len) || breaks_line(text, size)) {
        PyErr_SetString(PyExc_ValueError, "http header without a name, or with a line break");
        return -1;
    }
    if (deleted(core, name, name_len))
        return 0;
    note(core, name, name_len, text, size);
    char *to = room(io, name_len + size + 4);
    if (!to)
        return -1;
    memcpy(to, name, name_len);
    to += name_len;
    *to++ = ':';
    *to++ = ' ';
    memcpy(to, text, size);
    to += size;
    *to++ = '\r';
    *to++ = '\n';
    io->out_len += (uint32_t)(name_len + size + 4);
    io->headers++;
    return 0;
}

static int put_header(core_t *core, PyObject *pair)
{
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "http header must be defined in a tuple of two strings");
        return -1;
    }
    PyObject *key = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1);
    if (!PyUnicode_Check(key) || !PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "http header name and value must be strings");
        return -1;
    }
    PyObject *hold_name = NULL, *hold_value = NULL;
    Py_ssize_t name_len, size;
    const char *name = latin1(key, &name_len, &hold_name);
    const char *text = name ? latin1(value, &size, &hold_value) : NULL;
    int failed = !text || put_line(core, name, (size_t)name_len, text, (size_t)size) < 0;
    Py_XDECREF(hold_name);
    Py_XDECREF(hold_value);
    return failed ? -1 : 0;
}

/* A pair of bytes, or of what bytes() takes. */
static int put_octets(core_t *core, PyObject *pair)
{
    PyObject *parts[2] = {NULL, NULL};
    char *texts[2];
    Py_ssize_t sizes[2];
    int failed = 0;
    for (int i = 0; i < 2 && !failed; i++) {
        PyObject *part = PySequence_GetItem(pair, i);
        parts[i] = !part || PyBytes_Check(part) ? part : PyBytes_FromObject(part);
        if (part != parts[i])
            Py_DECREF(part);
        failed = !parts[i] || PyBytes_AsStringAndSize(parts[i], &texts[i], &sizes[i]) < 0;
    }
    int framing = !failed && sizes[0] == 17 && !strncasecmp(texts[0], "transfer-encoding", 17); /* which ASGI leaves to the server */
    failed = failed || (!framing && put_line(core, texts[0], (size_t)sizes[0], texts[1], (size_t)sizes[1]) < 0);
    Py_XDECREF(parts[0]);
    Py_XDECREF(parts[1]);
    return failed ? -1 : 0;
}

int response_lines(core_t *core, PyObject *headers)
{
    PyObject *iterator = PyObject_GetIter(headers), *pair;
    int failed = !iterator;
    while (!failed && (pair = PyIter_Next(iterator))) {
        failed = put_octets(core, pair) < 0;
        Py_DECREF(pair);
    }
    Py_XDECREF(iterator);
    return failed || PyErr_Occurred() ? -1 : 0;
}

int response_start_octets(core_t *core, int status, PyObject *headers)
{
    char text[16];
    response_reset(core);
    int size = snprintf(text, sizeof text, "%d", status);
    if (status < 100 || status > 999)
        PyErr_SetString(PyExc_ValueError, "the status must be a number of three digits");
    else if (put_status(core, text, (size_t)size) == 0 && response_lines(core, headers) == 0) {
        core->started = 1;
        return 0;
    }
    core->io->out_len = core->io->headers = core->io->status = 0;
    return -1;
}

int response_start(core_t *core, PyObject *status, PyObject *headers)
{
    response_reset(core);
    if (!PyList_Check(headers)) {
        PyErr_SetString(PyExc_TypeError, "http headers must be in a python list");
        return -1;
    }
    if (put_status_object(core, status) < 0)
        goto failed;
    for (Py_ssize_t i = 0; i < PyList_Size(headers); i++)
        if (put_header(core, PyList_GetItem(headers, i)) < 0)
            goto failed;
    core->started = 1;
    return 0;
failed:
    core->io->out_len = core->io->headers = core->io->status = 0;
    return -1;
}

/* What a head says that rules have changed. */
static void note_again(core_t *core)
{
    core_io *io = core->io;
    const char *at = (const char *)io->out, *end = at + io->out_len;
    core->left = -1;
    core->app_te = 0;
    core->no_body = (io->flags & REQ_NO_BODY) || io->status == 204 || io->status == 304 || io->status < 200;
    io->result &= ~(uint32_t)RES_CLOSE;
    while (at < end) {
        const char *stop = memchr(at, '\r', (size_t)(end - at)), *colon = stop ? memchr(at, ':', (size_t)(stop - at)) : NULL;
        if (!stop)
            break;
        if (colon) {
            const char *value = colon + 1;
            while (value < stop && *value == ' ')
                value++;
            note(core, at, (size_t)(colon - at), value, (size_t)(stop - value));
        }
        at = stop + 2;
    }
}

/* Rules see the head, once. 1: the response is not to go on. */
static int route(core_t *core)
{
    core_io *io = core->io;
    if (!(io->flags & REQ_ROUTED) || core->routed)
        return 0;
    core->routed = 1;
    int outcome, index = core->index;
    Py_BEGIN_ALLOW_THREADS
    outcome = envoxyd_route(index);
    Py_END_ALLOW_THREADS
    if (outcome & (ROUTE_ANSWERED | ROUTE_BARE)) {
        core->muted = (outcome & ROUTE_ANSWERED) != 0;
        core->head_done = 1;
        return 1;
    }
    note_again(core);
    core->chunk = (outcome & ROUTE_CHUNK) && io->flags & REQ_HTTP11;
    core->gathering = (outcome & ROUTE_GATHER) && !core->no_body;
    return core->gathering;
}

int response_finish_head(core_t *core)
{
    core_io *io = core->io;
    if (core->head_done || core->gathering || route(core))
        return 0;
    if (core->add_headers) {
        char *lines;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(core->add_headers, &lines, &size) < 0 || out_put(io, lines, (size_t)size) < 0)
            return -1;
        for (Py_ssize_t i = 0; i < size; i++)
            io->headers += lines[i] == '\n';
    }
    if (io->status == 101) /* what follows is no HTTP */
        io->result |= RES_CLOSE;
    if (__atomic_load_n(&envoxyd_leaving, __ATOMIC_RELAXED) && io->flags & (REQ_HTTP11 | REQ_SAY_KEEP))
        io->flags |= REQ_DRAIN;
    int known = core->left >= 0 || core->app_te || core->no_body;
    int wanted = core->trailers || core->chunk || (core->scope && io->flags & REQ_HTTP11);
    if (!known && (io->flags & REQ_CHUNK || wanted)) {
        core->chunked = known = 1;
        io->headers++;
        if (out_put(io, "Transfer-Encoding: chunked\r\n", 28) < 0)
            return -1;
    }
    if (!(io->result & RES_CLOSE) && io->flags & (REQ_DRAIN | (known ? REQ_CLOSES : REQ_SAY_CLOSE))) {
        io->result |= RES_CLOSE;
        io->headers++;
        if (out_put(io, "Connection: close\r\n", 19) < 0)
            return -1;
    }
    if (!(io->result & RES_CLOSE) && io->flags & REQ_SAY_KEEP) {
        if (core->app_te || !known) { /* which HTTP/1.0 does not know */
            io->result |= RES_CLOSE;
        } else {
            io->headers++;
            if (out_put(io, "Connection: keep-alive\r\n", 24) < 0)
                return -1;
        }
    }
    if (out_put(io, "\r\n", 2) < 0)
        return -1;
    if (known)
        io->result |= RES_DELIMITED;
    io->head_len = io->out_len;
    core->head_done = 1;
    return 0;
}
