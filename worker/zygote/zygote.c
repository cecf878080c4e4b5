/* The extension module _envoxyd_zygote: what Python cannot say of fork(2). There is no Go in it, so that a zygote may load it. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPARENT_POLL_US = 50, REPARENT_POLLS = 100000 };

/* Waits until the process in the middle has gone and the master, a subreaper, is the parent. */
static void wait_for_new_parent(pid_t middle)
{
    for (int i = 0; getppid() == middle && i < REPARENT_POLLS; i++)
        usleep(REPARENT_POLL_US);
}

/* In the process in the middle, which has one thread and runs no Python: forks the worker and leaves its number behind, or an error,
   negative. Returns in the worker alone. */
static void fork_from_middle(volatile int *result)
{
    pid_t middle = getpid();
    pid_t worker = fork();
    if (worker == 0) {
        wait_for_new_parent(middle);
        return;
    }
    *result = worker < 0 ? -errno : worker;
    _exit(0);
}

static int last; /* what the last fork_worker() came to */

/* fork_worker(): forks twice, so that the new process becomes a child of the master. The application's os.register_at_fork()
   hooks run as for one os.fork(). Nothing that it does with SIGCHLD or PR_SET_CHILD_SUBREAPER makes a difference. The outcome
   is kept for outcome(): an exception of a signal handler of the application's can take the place of what this returns. */
static PyObject *fork_worker(PyObject *self, PyObject *unused)
{
    int *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED) {
        last = -errno;
        Py_RETURN_NONE;
    }
    int reaper = 0;
    if (prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0) == 0 && reaper)
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); /* or the worker would become our child */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before); /* a signal must not end the process in the middle; the hooks change the mask, too */
    PyOS_BeforeFork();
    pid_t middle = fork();
    if (middle == 0) {
        fork_from_middle(result);
        munmap(result, sizeof *result);
        last = 0;
        PyOS_AfterFork_Child(); /* forgets signals that Python has taken and not handled yet */
        sigprocmask(SIG_SETMASK, &before, NULL);
        Py_RETURN_NONE;
    }
    last = middle < 0 ? -errno : -ECHILD;
    PyOS_AfterFork_Parent();
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (middle > 0) {
        Py_BEGIN_ALLOW_THREADS
        while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) /* ECHILD: the application ignores SIGCHLD, or has waited itself */
            ;
        Py_END_ALLOW_THREADS
        if (*result)
            last = *result;
    }
    munmap(result, sizeof *result);
    if (reaper)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    Py_RETURN_NONE;
}

/* outcome() -> int: what the last fork_worker() came to: 0 in the new process, its number in the zygote, or an error number, negative. */
static PyObject *outcome_of_fork(PyObject *self, PyObject *unused) { return PyLong_FromLong(last); }

static PyMethodDef functions[] = {
    {"fork_worker", fork_worker, METH_NOARGS, "Fork a child of the master."},
    {"outcome", outcome_of_fork, METH_NOARGS, "Return what the last fork came to."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_envoxyd_zygote", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__envoxyd_zygote(void) { return PyModule_Create(&module); }
