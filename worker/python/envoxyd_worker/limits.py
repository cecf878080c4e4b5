"""What a process sets for itself: priority, processors, and the kernel's limits."""
import os
import resource

from . import log

# A thread that starts later reserves address space for its stack and heap: so many of the Go runtime's, and those of the cores.
THREAD = 72 << 20
LATER = 4

# --limit-as leaves out what the runtime only reserves, up to this; larger limits leave room for it.
ROOMY = 4 << 30


def in_zygote(process):
    """Before the application is imported: what holds for every process that serves."""
    if process["prio"]:
        attempt("prio", os.setpriority, os.PRIO_PROCESS, 0, process["prio"])
    if process["limit_nproc"]:
        attempt("limit-nproc", resource.setrlimit, resource.RLIMIT_NPROC, (process["limit_nproc"],) * 2)
    if process["limit_as"]:
        attempt("limit-as", lower_address_space, process["limit_as"])


def in_worker(process, number):
    """After the fork, before any thread is there."""
    if process["cpu_affinity"]:
        attempt("cpu-affinity", bind, number, process["cpu_affinity"])


def attempt(option, change, *values):
    """A limit that the kernel does not grant is told, and the start goes on as uWSGI's does."""
    try:
        change(*values)
    except (OSError, ValueError) as error:
        log.line(f"{option}: {error}")


def lower_address_space(size):
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def bind(number, count):
    """Binds the worker to the next processors in turn, of those that it may use at all."""
    usable = sorted(os.sched_getaffinity(0))
    mine = [usable[((number - 1) * count + n) % len(usable)] for n in range(count)]
    os.sched_setaffinity(0, mine)
    log.line(f"mapping worker {number} to CPUs: {' '.join(map(str, mine))}")


class AddressSpace:
    """Holds --limit-as back while the extension is loaded, whose runtime reserves more than it ever uses."""

    def __init__(self, limit, cores):
        self.limit, self.later = limit, (LATER + cores - 1) * THREAD

    def __enter__(self):
        if self.limit:
            self.before = used()
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            attempt("limit-as", resource.setrlimit, resource.RLIMIT_AS, (hard, hard))
        return self

    def __exit__(self, kind, *_):
        if self.limit and kind is None:
            reserved = used() - self.before + self.later
            size = max(self.limit, min(self.limit + reserved, ROOMY))
            attempt("limit-as", resource.setrlimit, resource.RLIMIT_AS, (size, size))


def used():
    """The address space of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
