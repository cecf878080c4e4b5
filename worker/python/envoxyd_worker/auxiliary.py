"""A mule or a spooler after the fork: what holds for both, until it leaves."""
import importlib
import mmap
import os
import random
import runpy
import select
import signal
import sys
import threading
import time
from _thread import get_ident

from . import children, ending, gateway, hooks, listeners, log, threads, uwsgi_module
from .durations import SIZE, Durations
from .failures import report
from .layouts import AUXILIARY, AUXILIARY_TIMES, BUSY, IDLE, Auxiliary
from .reports import Reports
from .signals import handlers
from .uwsgi_module import mules, signals
from .worker import become, name_process

ORPHANED = 60  # seconds that a spooler may take for its job when the master has gone
# Seconds that an idle mule's program has from SystemExit to its end. uWSGI gives it none.
GRACE = 3

FIELDS = {name: number for number, name in enumerate(Auxiliary._fields)}


class Process:
    """What the master sees of this process, and how it waits."""

    def __init__(self, spec, uwsgi, number, row):
        self.spec, self.uwsgi, self.number = spec, uwsgi, number
        self.state = uwsgi_module.state(uwsgi)
        self.leaving = False  # SIGTERM or SIGHUP has come: finish what is in hand
        self.interruptible = False  # then they end what runs at once
        self.signalled = False  # the last wait has handled uwsgi signals
        self.raised = False  # the application has been told to leave by SystemExit
        self.overdue = False  # and has had GRACE seconds since
        self.first = (row - 1) * AUXILIARY.size // 8
        self.line = memoryview(mmap.mmap(spec["auxiliary_fd"], 0)).cast("q")
        lines = self.line.nbytes // (AUXILIARY.size + AUXILIARY_TIMES)
        times = lines * AUXILIARY.size // 8 + (row - 1) * SIZE
        self.times = Durations(self.line[times:times + SIZE])
        self.thread = get_ident()
        self.woken, self.wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.put("deadline", 0)
        self.put("state", IDLE)
        self.put("pid", os.getpid())
        # A handler written in Python does not run in a system call that had not begun when the signal came: this wakes it.
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self.told)
        handlers.add(self.told)

    def told(self, number, frame):
        if number == signal.SIGINT:  # of a terminal: the master hears it too
            return
        self.leaving = True
        os.write(self.wake, b"!")
        if self.interruptible and (self.overdue or not self.raised):
            self.leave()

    def let_go(self):
        """Nothing is in hand: what runs now may be ended at any time, and is at once if that has been asked for meanwhile."""
        self.interruptible = True
        if self.leaving and not self.raised:
            self.leave()

    def leave(self):
        """Ends what runs by SystemExit. A program that catches even that (`except:` around its loop) and goes on is ended as it is."""
        if get_ident() != self.thread:  # one that waits for messages, while the main thread does something else
            self.interruptible = True
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.raised:
            end(self, 0, threads_too=False)
        else:
            self.raised = True
            threads.start(self.insist, (), "uWSGILeave")
        raise SystemExit(0)

    def insist(self):
        time.sleep(GRACE)
        self.overdue = True
        os.kill(os.getpid(), signal.SIGTERM)

    def get(self, field):
        return self.line[self.first + FIELDS[field]]

    def put(self, field, value):
        self.line[self.first + FIELDS[field]] = value

    def begin(self, limit=0):
        """Something is in hand; when that takes longer than limit seconds (0: any time) the master kills this process."""
        self.interruptible = False
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.put("since", now)
        self.put("deadline", now + limit * 1_000_000_000 if limit else 0)
        self.put("state", BUSY)

    def end(self, done=True):
        """What was in hand is done."""
        if self.get("state") == BUSY:
            self.put("deadline", 0)
            self.put("state", IDLE)
            if done:
                self.put("tasks", self.get("tasks") + 1)
                self.times.note(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - self.get("since"))

    def drain(self):
        try:
            os.read(self.woken, 4096)
        except BlockingIOError:
            pass

    def wait(self, fds, seconds=None, with_signals=True):
        """The readable ones of fds; none after seconds (None: any time), when this process is to leave, and when uwsgi
        signals have come, which are handled."""
        self.interruptible = self.signalled = False
        queues = signals.descriptors(self.state) if with_signals else []
        poll = select.poll()
        for fd in (self.woken, *queues, *fds):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(None if seconds is None else max(seconds, 0) * 1000)]
        if self.woken in ready:
            self.drain()
        for fd in queues:
            if fd not in ready:
                continue
            number = signals.take(fd)
            while number is not None:
                self.signalled = True
                self.begin(self.spec["mules"]["harakiri"] if self.state.mule else 0)
                signals.handle(self.state, number)
                self.end()
                number = None if self.leaving else signals.take(fd)
        if self.signalled or self.leaving:
            return []
        return [fd for fd in ready if fd in fds]


def main(spec, uwsgi, order):
    """The life of a mule or spooler. It does not return."""
    role, number = order["role"], order["worker"]
    state = uwsgi_module.state(uwsgi)
    state.importer = 0
    setattr(state, role, number)
    ending.restore_term()
    children.adopt_none()
    listeners.restore()
    process = state.process = Process(spec, uwsgi, number, order["row"])
    become(spec["python"]["user"])
    names = {"mule": f"mule {number}", "spooler": "spooler"}
    name_process(spec["python"]["procname"].replace("worker \0", names[role]).replace("\0", str(number)))
    random.seed()
    close_listeners(spec)
    follow_master(spec, spec["mules"]["mercy"] if role == "mule" else ORPHANED)
    if spec.get("gateway"):
        gateway.current().in_worker(0)
    status = 0
    try:
        if role == "mule":
            hooks.run(spec["process"]["hooks"], "as-mule")
            process.let_go()
        state.ready = True
        Reports(os.dup(spec["event_fd"])).send("ready", role=role, worker=number)
        uwsgi_module.run_hook(uwsgi, "post_fork_hook")
        if role == "mule":
            run_mule(process, spec["mules"]["list"][number - 1]["runs"])
        else:
            run_spooler(process)
    except SystemExit as wish:
        status = wish.code if isinstance(wish.code, int) else int(wish.code is not None)
    except hooks.Failed as error:
        log.line(error)
        status = 1
    except BaseException as error:
        report(error)
        status = 1
    end(process, status)


def run_mule(process, program):
    """A file runs as __main__; a function is called; without either messages go to the hooks."""
    if program.endswith(".py"):
        sys.argv = [program]
        runpy.run_path(program, run_name="__main__")
    elif program:
        module, _, function = program.partition(":")
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    else:
        serve_messages(process)


def serve_messages(process):
    state = process.state
    fds, size = list(mules.queues(state)), process.spec["mules"]["receive_size"]
    while True:
        message = mules.wait(state, fds, True, None, size)
        if message:
            state.mule_hooks.call(process.uwsgi, process.number, message)


def run_spooler(process):
    from .spooling import loop

    last = 0
    for spooler in process.spec["spoolers"]:
        last += spooler["processes"]
        if process.number <= last:
            loop.serve(process, spooler)
            return


def close_listeners(spec):
    """Sockets are for workers: they alone answer there."""
    for listener in spec["sockets"] or ():
        os.close(listener["fd"])
    spec["sockets"] = []


def follow_master(spec, mercy):
    """When the master has gone this process is told to leave, and has as long for that as with a master."""

    def watch():
        select.select([spec["alive_fd"]], [], [])  # nothing is ever written to it
        if not spec["process"]["no_orphans"]:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(mercy)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="uWSGIMaster", daemon=True).start()


def end(process, status, threads_too=True):
    """As a worker ends: the application's functions for that are called, the interpreter is not taken apart."""
    process.interruptible = False
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not process.spec["python"]["skip_atexit"]:
        uwsgi_module.run_hook(process.uwsgi, "atexit")
        ending.run_last_functions(threads_too)
    children.end_now()
    log.flush()
    os._exit(status)
