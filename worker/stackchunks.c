/* Since 3.11 Python keeps a coroutine's frames in chunks of 16 KiB that it maps and unmaps, one at least for each
 * greenlet that ever runs. Kept chunks save both calls, and the page faults, for each request of a loop. */
#include "wsgi.h"

#include <dlfcn.h>
#include <stddef.h>

#define CHUNK 16384
#define MOST_KEPT 1024 /* 16 MiB of address space, touched as far as they were used */

/* PyObjectArenaAllocator of CPython 3.4 and later: not in the limited API, the same in all of its versions. */
typedef struct {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *address, size_t size);
} arena_allocator;

static arena_allocator python;
static void *kept[MOST_KEPT];
static int count;

/* The allocator is only called with the GIL held. */
static void *take_chunk(void *ctx, size_t size)
{
    return size == CHUNK && count ? kept[--count] : python.alloc(python.ctx, size);
}

static void keep_chunk(void *ctx, void *address, size_t size)
{
    if (size == CHUNK && count < MOST_KEPT)
        kept[count++] = address;
    else
        python.free(python.ctx, address, size);
}

void keep_stack_chunks(void)
{
    void (*get)(arena_allocator *) = (void (*)(arena_allocator *))dlsym(RTLD_DEFAULT, "PyObject_GetArenaAllocator");
    void (*set)(arena_allocator *) = (void (*)(arena_allocator *))dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
    arena_allocator ours = {NULL, take_chunk, keep_chunk};
    if (!get || !set || python.alloc)
        return;
    get(&python);
    set(&ours);
}
