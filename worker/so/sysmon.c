// sysmon, the thread from which Go's runtime looks after the others, rests for 20 us at a time as long as it has taken a processor away
// within the last millisecond or so. It does that from every thread that has been in Python for 10 ms, so in a worker with several busy
// threads it never rests longer: 7,700 naps a second, a tenth of a core. Given slack, the kernel makes these naps longer; the runtime's
// own limit for one is 10 ms.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

enum {
	SYSMON = 2,               // of the threads that the runtime makes, the first being the one that runs main
	SLACK_NS = 5 * 1000 * 1000,
};

typedef int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

// pthread_create of this library alone, which only Go's runtime calls. A thread has the slack of the one that makes it, and sysmon makes some.
__attribute__((visibility("hidden"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	static atomic_int made, usual;
	create of_libc = (create)dlsym(RTLD_DEFAULT, "pthread_create");
	if (!of_libc)
		return ENOSYS;
	int slack = prctl(PR_GET_TIMERSLACK), number = atomic_fetch_add(&made, 1) + 1;
	if (number == 1)
		atomic_store(&usual, slack);
	prctl(PR_SET_TIMERSLACK, number == SYSMON ? SLACK_NS : atomic_load(&usual));
	int error = of_libc(thread, attr, start, arg);
	prctl(PR_SET_TIMERSLACK, slack);
	return error;
}
