"""Processes that the application forks: they hold no descriptors of ours, and those of the import end with their zygote."""
import os
import signal
import sys
from os import WEXITED, WNOHANG, WNOWAIT, P_ALL, close, getpid, kill, read, waitid
from signal import SIGALRM, SIGTERM, alarm

from . import log
from .failures import report
from .signals import guard_forks, ordinary_signals

# True while a worker is being forked: the zygote sets it just before, the hook in the worker takes it back.
ours = False

TIMEOUT = 5  # seconds that children have for their end

NUMBERS = (
    "control_fd", "event_fd", "alive_fd", "scoreboard_fd", "auxiliary_fd", "metrics_fd", "tallies_fd", "snmp_fd", "deaths_fd", "vault_fd",
)

_spec = None
_workers = (-1, -1)  # a pipe: workers hold its writing end, the zygote reads the end of the last


def guard(spec):
    """Puts the hook in force that parts every fork from us; called once, before the application is imported."""
    global _spec, _workers
    _spec, _workers = spec, os.pipe()
    guard_forks(after_fork, forked)


def forked():
    global ours
    ours = False


def after_fork():
    global ours
    if ours:
        ours = False
        return
    for fd in (*descriptors(_spec), *_workers):
        try:
            close(fd)
        except OSError:  # closed before
            pass
    forget(_spec)
    ordinary_signals()


def descriptors(spec):
    """What the master has passed on and no other process is to have.

    Not among them are those by which children of an Envoxy service reach the gateways, each over a stream of its own.
    """
    yield from (spec[name] for name in NUMBERS)
    yield from spec["handover_fd"]
    yield from (s["fd"] for s in spec["sockets"] or ())
    for name in ("request_fd", "worker_fd"):
        if spec["log"][name]:
            yield spec["log"][name]
    if spec.get("gateway"):
        yield spec["gateway"]["progress_fd"]
    if spec.get("tracing"):
        yield spec["tracing"]["fd"]
    signals = spec["signals"]
    yield from (*(signals["workers"] or ()), *(signals["mules"] or ()), *(signals["farms"] or ()), signals["spooler"])
    yield from (pipe["out"] for pipe in pipes(spec))


def pipes(spec):
    """The queues of messages for mules."""
    mules = spec["mules"]
    return (mules["shared"], *(mule["queue"] for mule in mules["list"]), *(farm["queue"] for farm in mules["farms"]))


def kept(spec):
    """What children may have: they may send messages to mules, and wake spoolers."""
    yield from (pipe["in"] for pipe in pipes(spec))
    yield from (spooler["wake_fd"] for spooler in spec.get("spoolers") or ())


def forget(spec):
    """The numbers are the application's now: nothing of ours may use them again."""
    for name in NUMBERS:
        spec[name] = -1
    spec["signals"] = {"workers": [], "mules": [], "farms": [], "spooler": -1}
    for pipe in pipes(spec):
        pipe["out"] = -1
    spec["handover_fd"] = [-1, -1]
    spec["sockets"] = []
    spec["log"]["request_fd"] = spec["log"]["worker_fd"] = 0
    if spec.get("gateway"):
        spec["gateway"]["progress_fd"] = -1
    if spec.get("tracing"):
        spec["tracing"]["fd"] = -1


def none_left():
    """Whether this process has no children, not even ended ones."""
    try:
        waitid(P_ALL, 0, WEXITED | WNOHANG | WNOWAIT)
    except ChildProcessError:
        return True
    return False


def end():
    """Ends what the application forked while it was imported, when the last worker, which may need it, has gone.

    The application's atexit functions are not called: in uWSGI they run in the workers alone.
    """
    if none_left():
        return
    close(_workers[1])
    read(_workers[0], 1)
    end_now()


def end_now():
    """Tells the children to end, if there are any. What takes too long is given up: the other children are told all the same."""
    if none_left():
        return
    signal.signal(SIGALRM, too_long)
    alarm(TIMEOUT)
    log.flush()
    multiprocessing = sys.modules.get("multiprocessing")
    util = sys.modules.get("multiprocessing.util")
    try:
        if util:
            util._run_finalizers(0)  # managers and pools, in their own way
            for process in multiprocessing.active_children():
                process.terminate()
    except BaseException as error:
        report(error)
    last_bound()
    for pid in copies():
        try:
            kill(pid, SIGTERM)
        except OSError:  # it has ended
            pass


def too_long(number, frame):
    last_bound()
    raise TimeoutError(f"managers and pools of multiprocessing have not ended in {TIMEOUT} s")


def last_bound():
    """What takes even longer is ended by the kernel's alarm, together with this process."""
    signal.signal(SIGALRM, signal.SIG_DFL)
    alarm(TIMEOUT)


def copies():
    """The children of this process that have executed no other program; those that have outlive the server, as in uWSGI."""
    mine, command = str(getpid()).encode(), content("/proc/self/cmdline")
    for name in os.listdir("/proc"):
        if name.isdigit():
            state = content(f"/proc/{name}/stat").rpartition(b")")[2].split()
            if state[1:2] == [mine] and content(f"/proc/{name}/cmdline") == command:
                yield int(name)


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it has ended
        return b""


def adopt_none():
    """In a worker: what the zygote has started is not the worker's to wait for, nor to end with it."""
    process = sys.modules.get("multiprocessing.process")
    if process:
        process._children.clear()
