"""Requests as plain greenlets: what asyncio's loop and our own have in common."""
from collections import deque

from greenlet import getcurrent, greenlet

from .engine import Engine


class Request(greenlet):
    """One request, or signal, in hand."""

    def __init__(self, engine, core, outcome):
        greenlet.__init__(self, parent=engine.main)
        self.engine, self.uwsgi_core, self.outcome = engine, core, outcome

    def run(self):
        self.engine.serve(self)


class Wait:
    """A greenlet that waits for the first of several descriptors, or for a time to be over."""

    __slots__ = ("engine", "fds", "greenlet", "timer")

    def __init__(self, engine, reads, writes, timeout):
        self.engine, self.greenlet = engine, getcurrent()
        self.fds = [*((fd, False) for fd in reads), *((fd, True) for fd in writes)]
        self.timer = None if timeout is None else engine.later(timeout, self.over, -1)

    def over(self, fd):
        """fd is ready; -1: the time is over."""
        self.forget()
        self.greenlet.switch(fd)

    def forget(self):
        if self.timer is not None:
            self.timer.cancel()
        for key in self.fds:
            self.engine.unregister(key, self)
        self.fds, self.timer = [], None


class GreenletEngine(Engine):
    """A loop gives soon(), later(), watch_fd(), unwatch_fd(), and runs what it calls in the greenlet `main`."""

    def __init__(self, spec, extension):
        Engine.__init__(self, spec, extension)
        self.main = getcurrent()
        self.waiting = {}  # (fd, is for writing) -> those that wait for it, in order

    def watch(self):
        self.watch_fd((self.reactor, False), self.ready)

    def unwatch(self):
        self.unwatch_fd((self.reactor, False))

    def spawn(self, core, outcome):
        self.soon(Request(self, core, outcome).switch)

    def current(self):
        return getattr(getcurrent(), "uwsgi_core", -1)

    def pause(self):
        self.soon(getcurrent().switch)
        self.main.switch()

    def wait_any(self, reads, writes, timeout):
        """The descriptor that is ready; -1: none in time."""
        if getcurrent() is self.main:
            raise RuntimeError("the loop itself cannot wait")
        wait = Wait(self, reads, writes, timeout)
        try:
            for key in wait.fds:
                self.register_wait(key, wait)
            return self.main.switch()
        finally:
            wait.forget()

    def register_wait(self, key, wait):
        waiting = self.waiting.get(key)
        if waiting is None:
            self.watch_fd(key, lambda: self.fd_ready(key))  # OSError: it is no descriptor, or a file
            waiting = self.waiting[key] = deque()
        waiting.append(wait)

    def unregister(self, key, wait):
        waiting = self.waiting.get(key, ())
        if wait in waiting:
            waiting.remove(wait)
            if not waiting:
                del self.waiting[key]
                self.unwatch_fd(key)

    def fd_ready(self, key):
        for wait in list(self.waiting.get(key, ())):
            if key in wait.fds:  # the one before may have ended it
                wait.over(key[0])
