#include "queue.h"

#include <string.h>

enum operation { NOTHING, PUSH, DROP_FIRST, DROP_LAST };

struct slot {
    uint64_t size; /* of the message; stored last */
    uint64_t unused;
    char message[];
};

_Static_assert(sizeof(struct slot) == QUEUE_BLOCK_HEAD, "what a slot needs beside its message");

static uint64_t stride(uint64_t block_size) { return (block_size + 7) / 8 * 8; }
static struct slot *slot_at(const struct queue *q, uint64_t slot) { return (struct slot *)(q->slots + slot * stride(q->block_size)); }

uint64_t queue_memory(uint64_t slots, uint64_t block_size)
{
    const uint64_t most = 1ULL << 46;
    if (!slots || block_size <= QUEUE_BLOCK_HEAD || slots > most || block_size > most / slots)
        return 0;
    return (HEAD_SIZE + slots * stride(block_size) + HEAD_SIZE - 1) / HEAD_SIZE * HEAD_SIZE;
}

int queue_attach(struct queue *q, uint64_t slots, uint64_t block_size, void *memory, uint64_t instance)
{
    const uint64_t geometry[] = {slots, block_size};
    q->head = memory;
    q->slots = (char *)memory + HEAD_SIZE;
    q->count = slots;
    q->block_size = block_size;
    return head_attach(&q->head->head, QUEUE_MAGIC, instance, geometry, &q->head->lock, queue_repair, q);
}

/* Stores what a process that is killed must have stored before anything that follows. */
static void publish(uint64_t *at, uint64_t value)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void begin(struct queue *q, enum operation operation, uint64_t slot)
{
    publish(&q->head->operation_slot, slot);
    __atomic_store_n(&q->head->operation, operation, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static uint64_t after(const struct queue *q, uint64_t slot) { return slot + 1 < q->count ? slot + 1 : 0; }

/* Moves the positions as an operation does whose message is there, or gone. */
static void finish(struct queue *q, enum operation operation, uint64_t slot)
{
    if (operation == PUSH)
        publish(&q->head->position, after(q, slot));
    else if (operation == DROP_FIRST)
        publish(&q->head->pull_position, after(q, slot));
    else if (operation == DROP_LAST)
        publish(&q->head->position, slot);
    __atomic_store_n(&q->head->operation, NOTHING, __ATOMIC_RELEASE);
}

/* Ends the operation that was in hand: as if it had been done, if its message had been stored or taken out, else as if it had not. */
void queue_repair(void *guarded)
{
    struct queue *q = guarded;
    struct queue_head *head = q->head;
    head->position %= q->count;
    head->pull_position %= q->count;
    for (uint64_t i = 0; i < q->count; i++)
        if (slot_at(q, i)->size > q->block_size - QUEUE_BLOCK_HEAD)
            slot_at(q, i)->size = 0;
    enum operation operation = head->operation;
    if (operation != NOTHING && head->operation_slot < q->count && (slot_at(q, head->operation_slot)->size != 0) == (operation == PUSH))
        finish(q, operation, head->operation_slot);
    head->operation = NOTHING;
}

const char *queue_get(const struct queue *q, uint64_t slot, size_t *size)
{
    if (slot >= q->count || !(*size = slot_at(q, slot)->size))
        return NULL;
    return slot_at(q, slot)->message;
}

static int fits(const struct queue *q, size_t size) { return size && size <= q->block_size - QUEUE_BLOCK_HEAD; }

int queue_set(struct queue *q, uint64_t slot, const char *message, size_t size)
{
    if (slot >= q->count || !fits(q, size))
        return 0;
    struct slot *to = slot_at(q, slot);
    publish(&to->size, 0);
    memcpy(to->message, message, size);
    publish(&to->size, size);
    return 1;
}

int queue_push(struct queue *q, const char *message, size_t size)
{
    if (!fits(q, size))
        return 0;
    uint64_t slot = q->head->position;
    publish(&slot_at(q, slot)->size, 0); /* or a repair would take the message that was there for this one */
    begin(q, PUSH, slot);
    queue_set(q, slot, message, size);
    finish(q, PUSH, slot);
    return 1;
}

uint64_t queue_first(const struct queue *q) { return q->head->pull_position; }
uint64_t queue_last(const struct queue *q) { return q->head->position ? q->head->position - 1 : q->count - 1; }

static void take_out(struct queue *q, enum operation operation, uint64_t slot)
{
    begin(q, operation, slot);
    publish(&slot_at(q, slot)->size, 0);
    finish(q, operation, slot);
}

void queue_drop_first(struct queue *q) { take_out(q, DROP_FIRST, queue_first(q)); }
void queue_drop_last(struct queue *q) { take_out(q, DROP_LAST, queue_last(q)); }
