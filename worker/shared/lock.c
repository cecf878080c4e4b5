#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(((struct lock *)0)->mutex), "room for a mutex");

/* The numbers of this process and thread, which are system calls to ask for. */
static uint32_t process;
static __thread uint32_t thread;

static void forget_numbers(void)
{
    process = (uint32_t)getpid();
    thread = 0; /* the one thread of the new process is this one */
}

__attribute__((constructor)) static void know_numbers(void)
{
    forget_numbers();
    pthread_atfork(NULL, NULL, forget_numbers);
}

uint32_t lock_thread(void)
{
    if (!thread)
        thread = (uint32_t)syscall(SYS_gettid);
    return thread;
}

static pthread_mutex_t *mutex_of(struct lock *lock) { return (pthread_mutex_t *)lock->mutex; }

int lock_make(struct lock *lock)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error)
        return error;
    memset(lock, 0, sizeof *lock);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    error = pthread_mutex_init(mutex_of(lock), &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (!error)
        __atomic_store_n(&lock->made, 1, __ATOMIC_RELEASE);
    return error;
}

/* What has become of an attempt. Who dies in a repair leaves it to the next one. */
static enum lock_result settle(struct lock *lock, int error, repair_function repair, void *guarded)
{
    if (error == EBUSY || error == ETIMEDOUT || error == EAGAIN)
        return LOCK_BUSY;
    if (error && error != EOWNERDEAD)
        return error == EDEADLK ? LOCK_MINE_ALREADY : LOCK_BROKEN;
    if (error && repair)
        repair(guarded);
    if (error)
        pthread_mutex_consistent(mutex_of(lock));
    __atomic_store_n(&lock->thread, lock_thread(), __ATOMIC_RELAXED);
    __atomic_store_n(&lock->holder, process, __ATOMIC_RELAXED);
    return LOCK_TAKEN;
}

void lock_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

enum lock_result lock_try(struct lock *lock, int tries, repair_function repair, void *guarded)
{
    for (;;) {
        if (tries <= 1 || !__atomic_load_n(&lock->holder, __ATOMIC_RELAXED)) {
            enum lock_result result = settle(lock, pthread_mutex_trylock(mutex_of(lock)), repair, guarded);
            if (result != LOCK_BUSY || tries <= 1)
                return result;
        }
        tries--;
        lock_relax();
    }
}

enum lock_result lock_wait(struct lock *lock, int milliseconds, repair_function repair, void *guarded)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += (milliseconds % 1000) * 1000000L;
    end.tv_sec += milliseconds / 1000 + end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    return settle(lock, pthread_mutex_timedlock(mutex_of(lock), &end), repair, guarded);
}

void lock_end(struct lock *lock)
{
    __atomic_store_n(&lock->holder, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(mutex_of(lock));
}

int lock_release(struct lock *lock)
{
    if (__atomic_load_n(&lock->holder, __ATOMIC_RELAXED) != process || __atomic_load_n(&lock->thread, __ATOMIC_RELAXED) != lock_thread())
        return 0;
    lock_end(lock);
    return 1;
}

int lock_held(struct lock *lock)
{
    if (lock_try(lock, 1, NULL, NULL) != LOCK_TAKEN)
        return 1;
    lock_end(lock);
    return 0;
}

int head_attach(struct head *head, uint64_t magic, uint64_t instance, const void *geometry, struct lock *lock, repair_function take_over,
                void *guarded)
{
    size_t size = (size_t)((char *)lock - (char *)(head + 1));
    int made = __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE) == magic;
    if (made && memcmp(head + 1, geometry, size))
        return -1;
    if (made && head->instance == instance)
        return 0;
    if (lock_make(lock))
        return -1;
    if (made)
        take_over(guarded);
    memcpy(head + 1, geometry, size);
    head->instance = instance;
    __atomic_store_n(&head->magic, magic, __ATOMIC_RELEASE);
    return 0;
}
