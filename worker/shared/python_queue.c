/* uwsgi.queue_push and its kin. */
#include "module.h"

#include "queue.h"

static struct queue queue;

static PyObject *attach_queue(PyObject *self, PyObject *args)
{
    int fd;
    unsigned long long slots, block_size, instance;
    if (!PyArg_ParseTuple(args, "iKKK", &fd, &slots, &block_size, &instance))
        return NULL;
    char *memory = map_file(fd, 0, queue_memory(slots, block_size), 1);
    if (!memory)
        return NULL;
    if (queue_attach(&queue, slots, block_size, memory, instance) < 0)
        return PyErr_SetString(PyExc_ValueError, "it is another queue's"), NULL;
    Py_RETURN_NONE;
}

enum queue_operation { PUSH, SET, SLOT, PULL_SLOT, PULL, POP, GET, LAST }; /* from PULL on they read messages */

struct queue_call {
    enum queue_operation operation;
    const char *message;
    Py_ssize_t size;
    long long slot; /* POP and LAST: how many, from the last one on */
    uint64_t answer;
    struct pieces pieces;
};

static int read_slot(struct queue *q, struct queue_call *call, uint64_t slot)
{
    size_t size = 0;
    const char *message = queue_get(q, slot, &size);
    add_piece(&call->pieces, message, size);
    return message && !call->pieces.failed;
}

static void work_on_queue(void *of, void *argument, int gil)
{
    struct queue *q = of;
    struct queue_call *call = argument;
    if (call->operation == PUSH)
        call->answer = (uint64_t)queue_push(q, call->message, (size_t)call->size);
    else if (call->operation == SET)
        call->answer = (uint64_t)queue_set(q, (uint64_t)call->slot, call->message, (size_t)call->size);
    else if (call->operation == SLOT)
        call->answer = q->head->position;
    else if (call->operation == PULL_SLOT)
        call->answer = queue_first(q);
    else if (call->operation == GET)
        read_slot(q, call, (uint64_t)call->slot);
    else if (call->operation == PULL && read_slot(q, call, queue_first(q)))
        queue_drop_first(q);
    else if (call->operation == POP || call->operation == LAST)
        for (uint64_t i = 0, slot = queue_last(q); i < (uint64_t)call->slot; i++, slot = (slot ? slot : q->count) - 1)
            read_slot(q, call, slot);
    if (call->operation == POP)
        queue_drop_last(q);
}

/* All functions of the queue; self is the operation. uwsgi_module/queue.py says what is true, and which of the messages is meant. */
static PyObject *queue_function(PyObject *self, PyObject *args)
{
    struct queue_call call = {.operation = (enum queue_operation)PyLong_AsLong(self)};
    if (!PyArg_ParseTuple(args, "|Ls#", &call.slot, &call.message, &call.size))
        return NULL;
    if (with_lock(&queue.head->lock, queue_repair, &queue, work_on_queue, &call) < 0)
        return NULL;
    return call.operation >= PULL ? give_pieces(&call.pieces) : PyLong_FromUnsignedLongLong(call.answer);
}

PyMethodDef queue_functions[] = {
    [PUSH] = FUNCTION("queue_push", queue_function), [SET] = FUNCTION("queue_set", queue_function),
    [SLOT] = FUNCTION("queue_slot", queue_function), [PULL_SLOT] = FUNCTION("queue_pull_slot", queue_function),
    [PULL] = FUNCTION("queue_pull", queue_function), [POP] = FUNCTION("queue_pop", queue_function),
    [GET] = FUNCTION("queue_get", queue_function),   [LAST] = FUNCTION("queue_last", queue_function),
    FUNCTION("attach_queue", attach_queue), NO_MORE,
};
