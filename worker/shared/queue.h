/* A queue: a ring of slots for one message each. A message that finds no empty slot takes the place of the oldest. */
#pragma once
#include <stddef.h>

#include "lock.h"

struct queue {
    struct queue_head *head;
    char *slots;
    uint64_t count, block_size;
};

enum { QUEUE_BLOCK_HEAD = 16 }; /* bytes of a block that no message gets, as in uWSGI */

/* The memory that it takes; 0: no memory is that large. */
uint64_t queue_memory(uint64_t slots, uint64_t block_size);

/* As cache_attach. */
int queue_attach(struct queue *queue, uint64_t slots, uint64_t block_size, void *memory, uint64_t instance);
void queue_repair(void *queue);

/* The message of a slot; NULL: it is empty, or there is no such slot. */
const char *queue_get(const struct queue *queue, uint64_t slot, size_t *size);

/* Puts a message into a slot; 0: it does not fit. */
int queue_set(struct queue *queue, uint64_t slot, const char *message, size_t size);

/* Puts a message behind the last one; 0: it does not fit. */
int queue_push(struct queue *queue, const char *message, size_t size);

/* Takes the message out that queue_first or queue_last has named. The slot behind the last message moves even if that is empty. */
uint64_t queue_first(const struct queue *queue);
uint64_t queue_last(const struct queue *queue);
void queue_drop_first(struct queue *queue);
void queue_drop_last(struct queue *queue);
