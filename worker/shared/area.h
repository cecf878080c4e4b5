/* What a shared area has beside its bytes: a lock for many readers or one writer, sums, and a count of changes to wait for. */
#pragma once
#include "lock.h"

struct area {
    struct area_head *head;
    char *bytes;
    uint64_t size;
};

/* Makes what is not there yet. */
int area_make(struct area_head *head);

/* Takes part of the lock: the places from *taken on for a writer, any one for a reader (*taken: one that is worth waiting for).
   Called again after LOCK_BUSY, it goes on. */
enum lock_result area_write_lock(struct area *area, int *taken, int milliseconds);
enum lock_result area_read_lock(struct area *area, int milliseconds);
void area_unlock(struct area *area);

/* Adds to an integer of 4 or 8 bytes; one that is not aligned is added to under a lock. */
enum lock_result area_add(struct area *area, uint64_t at, int64_t by, int bytes, int milliseconds);

void area_changed(struct area *area);

/* Waits until the count of changes is not that any more. */
void area_wait(struct area *area, uint32_t count, int milliseconds);
