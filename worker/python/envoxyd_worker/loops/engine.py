"""What all loops have in common: cores, the coroutines that run on them, and what these wait for."""
import sys
import time
from os import fstat
from select import POLLOUT
from threading import get_native_id

from .. import log
from ..uwsgi_module.connections import wait

# What the extension's take() returns.
REQUEST, SIGNAL, IDLE, STOP = 1, 3, 2, -1

FULL_EVERY = 1  # seconds between lines about a full loop


class Waits:
    """What one request waits for: registered by uwsgi.wait_fd_* and async_sleep, waited for by suspend."""

    __slots__ = ("reads", "timeout", "writes")

    def __init__(self):
        self.clear()

    def clear(self):
        self.reads, self.writes, self.timeout = [], [], None

    def add(self, fd, write, timeout):
        (self.writes if write else self.reads).append(fd)
        if timeout > 0:
            self.limit(timeout)

    def limit(self, seconds):
        self.timeout = seconds if self.timeout is None else min(self.timeout, seconds)

    def any(self):
        return bool(self.reads or self.writes or self.timeout is not None)


class Engine:
    """A loop gives spawn(), watch(), unwatch(), end(), current(), pause(), wait_any(), and has run() return at the end."""

    always_yields = False  # each item of a response lets others go on

    def __init__(self, spec, extension):
        self.extension = extension
        self.free = list(range(spec["cores"] - 1, -1, -1))  # the last one is the next: few cores serve where few are needed
        self.cores = spec["cores"]
        self.quiet = spec["loop"]["quiet"]
        self.bound = set()
        self.waits = {}  # by core
        self.ready_fds = {}
        self.full = False
        self.ended = False
        self.told = 0
        self.thread = get_native_id()

    def start(self, settings, of_core):
        """Before the worker says that it is ready; False: it cannot be. settings are those of serve(); of_core(core) makes what a
        core is bound with."""
        self.on_error = settings["on_error"]
        self.handle = self.extension.handle  # serves a request or signal, in its coroutine
        self.of_core = of_core
        self.reactor = self.extension.loop(self.current)  # the descriptor to watch
        return True

    def ready(self):
        """The reactor has something: as many requests are taken as there are free cores."""
        if not self.free:
            self.queue_full()
        take = self.extension.take
        for _ in range(self.cores):
            if not self.free:
                return
            core = self.free.pop()
            if not self.begin(core, take):
                self.free.append(core)
                self.end_if_ended()
                return
        if self.free:
            self.ready_soon()

    def ready_soon(self):
        """ready() is to be called again, after others: cores have served at once and are free again."""
        raise NotImplementedError

    def begin(self, core, take):
        """Whether there was something for the core, for which it has a coroutine now. take: the extension's take() or finish()."""
        outcome = self.attempt(take, core)
        if outcome == REQUEST or outcome == SIGNAL:
            if core not in self.bound:
                self.extension.bind(core, {**self.of_core(core), "wait": self.wait_to_write, "between": self.between})
                self.bound.add(core)
            self.spawn(core, outcome)
            return True
        if outcome == STOP:
            self.ended = True
            self.unwatch()
        return False

    def attempt(self, take, core):
        while True:
            try:
                return take(core)
            except BaseException as error:  # of a signal handler of the application's
                self.on_error(type(error), error, error.__traceback__, "signal handler")

    def serve(self, request):
        """What a greenlet does: it has the core and the outcome of take()."""
        core = request.uwsgi_core
        try:
            self.handle(core, request.outcome)
        except BaseException:
            self.report("application")
        request.uwsgi_core = -1  # whoever keeps the greenlet does not keep the core
        self.done(core)

    def done(self, core):
        """The coroutine has served: its response leaves, and the core takes what comes next."""
        if core in self.waits:
            del self.waits[core]
        if core in self.ready_fds:
            del self.ready_fds[core]
        if self.begin(core, self.extension.finish):
            return
        self.free.append(core)
        if self.full and not self.ended:
            self.full = False
            self.watch()
        self.end_if_ended()

    def end_if_ended(self):
        """The reactor has nothing more, and the last coroutine has served."""
        if self.ended and len(self.free) == self.cores:
            self.end()

    def queue_full(self):
        """All cores have a request, and there is more: it waits where it is."""
        self.full = True
        self.unwatch()
        now = time.monotonic()
        if not self.quiet and now - self.told >= FULL_EVERY:
            self.told = now
            log.line("[DANGER] async queue is full !!!")

    # What coroutines wait for.

    def owns_thread(self):
        """Whether the caller runs on the loop's thread, and not on another one of the application's."""
        return get_native_id() == self.thread

    def wait(self, fd, what, milliseconds):
        """Whether the descriptor becomes ready in time; others go on meanwhile. On other threads it is as without a loop."""
        if not self.owns_thread():
            return wait(fd, what, milliseconds)
        reads, writes = ([], [fd]) if what == POLLOUT else ([fd], [])
        return self.wait_any(reads, writes, milliseconds / 1000) >= 0

    def wait_to_write(self, fd, milliseconds):
        return self.wait(fd, POLLOUT, milliseconds)

    def register(self, fd, write, timeout):
        """OSError: there is no such descriptor, which not every loop would tell."""
        fstat(fd)
        self.waits.setdefault(self.current(), Waits()).add(fd, write, timeout)

    def register_sleep(self, seconds):
        self.waits.setdefault(self.current(), Waits()).limit(seconds)

    def suspend(self):
        """Lets others go on, until something of what the request has registered is there."""
        core = self.current()
        waits = self.waits.get(core)
        if waits is None or not waits.any():
            self.pause()
            return
        reads, writes, timeout = waits.reads, waits.writes, waits.timeout
        waits.clear()
        self.ready_fds[core] = self.wait_any(reads, writes, timeout)

    def ready_fd(self):
        return self.ready_fds.get(self.current(), -1)

    def between(self):
        """Behind each item of a response."""
        if self.always_yields or self.waits.get(self.current()):
            self.suspend()

    def report(self, where):
        self.on_error(*sys.exc_info(), where)
