#define _GNU_SOURCE
#include "area.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int area_make(struct area_head *head)
{
    int error = head->arithmetic.made ? 0 : lock_make(&head->arithmetic);
    for (unsigned i = 0; i < AREA_READERS && !error; i++)
        error = head->readers[i].made ? 0 : lock_make(&head->readers[i]);
    return error;
}

enum lock_result area_write_lock(struct area *area, int *taken, int milliseconds)
{
    for (; *taken < (int)AREA_READERS; ++*taken) {
        enum lock_result result = lock_wait(&area->head->readers[*taken], milliseconds, NULL, NULL);
        if (result != LOCK_TAKEN)
            return result;
    }
    return LOCK_TAKEN;
}

enum lock_result area_read_lock(struct area *area, int milliseconds)
{
    unsigned first = (unsigned)syscall(SYS_gettid) % AREA_READERS;
    for (unsigned i = 0; i < AREA_READERS; i++)
        if (lock_try(&area->head->readers[(first + i) % AREA_READERS], 1, NULL, NULL) == LOCK_TAKEN)
            return LOCK_TAKEN;
    return lock_wait(&area->head->readers[first], milliseconds, NULL, NULL);
}

void area_unlock(struct area *area)
{
    for (unsigned i = 0; i < AREA_READERS; i++)
        lock_release(&area->head->readers[i]);
}

enum lock_result area_add(struct area *area, uint64_t at, int64_t by, int bytes, int milliseconds)
{
    char *place = area->bytes + at;
    if ((uintptr_t)place % (unsigned)bytes == 0) {
        if (bytes == 8)
            __atomic_fetch_add((uint64_t *)place, (uint64_t)by, __ATOMIC_SEQ_CST);
        else
            __atomic_fetch_add((uint32_t *)place, (uint32_t)by, __ATOMIC_SEQ_CST);
        return LOCK_TAKEN;
    }
    enum lock_result result = lock_wait(&area->head->arithmetic, milliseconds, NULL, NULL);
    if (result == LOCK_TAKEN) {
        uint64_t value = 0;
        memcpy(&value, place, (size_t)bytes); /* of a little-endian number, the lower part */
        value += (uint64_t)by;
        memcpy(place, &value, (size_t)bytes);
        lock_end(&area->head->arithmetic);
    }
    return result;
}

void area_changed(struct area *area)
{
    __atomic_fetch_add(&area->head->updates, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&area->head->waiters, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &area->head->updates, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void area_wait(struct area *area, uint32_t count, int milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    __atomic_fetch_add(&area->head->waiters, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &area->head->updates, FUTEX_WAIT, count, &time, NULL, 0);
    __atomic_fetch_sub(&area->head->waiters, 1, __ATOMIC_SEQ_CST);
}
