/* uwsgi.queue_push and its kin. */
#include "module.h"

#include "queue.h"

static struct queue queue;

void forget_queue(void) { queue.head = NULL; }

static PyObject *attach_queue(PyObject *self, PyObject *args)
{
    (void)self;
    int fd;
    unsigned long long slots, block_size;
    if (!PyArg_ParseTuple(args, "iKK", &fd, &slots, &block_size))
        return NULL;
    uint64_t size = queue_memory(slots, block_size);
    if (!size)
        return PyErr_SetString(PyExc_ValueError, "no memory is that large"), NULL;
    char *memory = map_file(fd, 0, size, 1);
    if (!memory)
        return NULL;
    if (queue_attach(&queue, slots, block_size, memory, instance_number()) < 0)
        return PyErr_SetString(PyExc_ValueError, "it is another queue's"), NULL;
    Py_RETURN_NONE;
}

enum queue_operation { PUSH, PULL, POP, READ, WRITE, LAST, SLOT, PULL_SLOT };

struct queue_call {
    enum queue_operation operation;
    const char *message;
    Py_ssize_t size;
    long long slot; /* LAST: how many */
    unsigned long long at;
    int done;
    struct pieces pieces;
};

static void read_slot(struct queue *q, struct queue_call *call, uint64_t slot)
{
    size_t size = 0;
    const char *message = queue_get(q, slot, &size);
    add_piece(&call->pieces, message, size);
}

static void work_on_queue(void *of, void *argument, int gil)
{
    (void)gil;
    struct queue *q = of;
    struct queue_call *call = argument;
    switch (call->operation) {
    case PUSH:
        call->done = queue_push(q, call->message, (size_t)call->size);
        break;
    case WRITE:
        call->done = queue_set(q, (uint64_t)call->slot, call->message, (size_t)call->size);
        break;
    case READ:
        read_slot(q, call, (uint64_t)call->slot);
        break;
    case PULL:
        read_slot(q, call, queue_first(q));
        if (call->pieces.are && call->pieces.are->bytes)
            queue_drop_first(q);
        break;
    case POP:
        read_slot(q, call, queue_last(q));
        queue_drop_last(q);
        break;
    case LAST:
        for (uint64_t i = 0, slot = queue_last(q); i < (uint64_t)call->slot; i++, slot = (slot ? slot : q->count) - 1)
            read_slot(q, call, slot);
        break;
    case SLOT:
        call->at = q->head->position;
        break;
    case PULL_SLOT:
        call->at = queue_first(q);
        break;
    }
}

/* All functions of the queue; self is the operation. */
static PyObject *queue_function(PyObject *self, PyObject *args)
{
    enum queue_operation operation = (enum queue_operation)PyLong_AsLong(self);
    struct queue_call call = {.operation = operation};
    int as_list = 0;
    if (!(operation == PUSH    ? PyArg_ParseTuple(args, "s#", &call.message, &call.size)
          : operation == WRITE ? PyArg_ParseTuple(args, "Ls#", &call.slot, &call.message, &call.size)
          : operation == READ  ? PyArg_ParseTuple(args, "L", &call.slot)
          : operation == LAST  ? PyArg_ParseTuple(args, "|L", &call.slot)
                               : PyArg_ParseTuple(args, "")))
        return NULL;
    if (operation == LAST) {
        as_list = call.slot > 0;
        call.slot = call.slot < 1 ? 1 : (uint64_t)call.slot > queue.count ? (long long)queue.count : call.slot;
    }
    if (with_lock(&queue.head->lock, queue_repair, &queue, work_on_queue, &call) < 0)
        return NULL;
    if (operation == SLOT || operation == PULL_SLOT)
        return PyLong_FromUnsignedLongLong(call.at);
    if (operation != PUSH && operation != WRITE)
        return give_pieces(&call.pieces, as_list);
    if (call.done)
        Py_RETURN_TRUE;
    Py_RETURN_NONE;
}

static PyMethodDef queue_functions[] = {
    [PUSH] = FUNCTION("queue_push", queue_function), [PULL] = FUNCTION("queue_pull", queue_function),
    [POP] = FUNCTION("queue_pop", queue_function),   [READ] = FUNCTION("queue_get", queue_function),
    [WRITE] = FUNCTION("queue_set", queue_function), [LAST] = FUNCTION("queue_last", queue_function),
    [SLOT] = FUNCTION("queue_slot", queue_function), [PULL_SLOT] = FUNCTION("queue_pull_slot", queue_function),
};

static PyMethodDef functions[] = {FUNCTION("attach_queue", attach_queue), {NULL, NULL, 0, NULL}};

int add_queue(PyObject *to)
{
    return PyModule_AddFunctions(to, functions) < 0 ? -1 : add_numbered(to, queue_functions, COUNT(queue_functions));
}
