/* Locks between processes that the death of a holder frees. */
#pragma once
#include "layout.h"

enum lock_result { LOCK_TAKEN, LOCK_BUSY, LOCK_MINE_ALREADY, LOCK_BROKEN };

/* Makes what a lock guards consistent again, after its holder has died at any point. */
typedef void (*repair_function)(void *guarded);

/* Makes a lock that nobody else knows yet. */
int lock_make(struct lock *lock);

/* Takes the lock if it is free, after some tries. */
enum lock_result lock_try(struct lock *lock, int tries, repair_function repair, void *guarded);

/* Waits for it, for that many milliseconds at most. */
enum lock_result lock_wait(struct lock *lock, int milliseconds, repair_function repair, void *guarded);

/* Lets go of it; of one that this thread does not have, nothing happens and 0 is returned. */
int lock_release(struct lock *lock);

/* Lets go of a lock that this thread is known to have. */
void lock_end(struct lock *lock);

/* The number of this thread. */
uint32_t lock_thread(void);

/* Waits a moment within a loop that waits for another processor. */
void lock_relax(void);

/* Whether somebody has it who lives. What it guards is not repaired: that is the application's own. */
int lock_held(struct lock *lock);

/* Uses memory that begins with a head and a lock, and the geometry between them: makes these where there are none. take_over is for what
   another instance has left. 0, or -1: the memory is for another geometry. */
int head_attach(struct head *head, uint64_t magic, uint64_t instance, const void *geometry, struct lock *lock, repair_function take_over,
                void *guarded);
