"""Requests as gevent's greenlets: what gevent has replaced in the standard library lets other requests go on while it waits."""
from gevent import Greenlet, getcurrent
from gevent.event import Event
from gevent.hub import Waiter, get_hub, sleep

from .engine import Engine

READ, WRITE = 1, 2  # events of the hub's watchers
ANCHOR = 3600  # seconds: a hub with nothing to watch would end


class Request(Greenlet):
    """One request, or signal, in hand."""

    spawning_stack_limit = 0  # it is always the same, and takes as long as the rest of the start

    def __init__(self, engine, core, outcome):
        Greenlet.__init__(self)
        self.engine, self.uwsgi_core, self.outcome = engine, core, outcome

    def _run(self):
        self.engine.serve(self)


class Loop(Engine):
    def __init__(self, spec, extension):
        Engine.__init__(self, spec, extension)
        self.over = Event()
        self.wait_for_hub = spec["loop"]["wait_for_hub"]

    def run(self):
        self.hub = get_hub()
        self.watcher = self.hub.loop.io(self.reactor, READ)
        anchor = self.hub.loop.timer(ANCHOR, ANCHOR)
        anchor.start(lambda: None)
        self.watch()
        while not self.over.is_set():
            try:
                self.over.wait()
            except BaseException:  # gevent passes on here what ends a program: sys.exit() in a greenlet of the application's
                self.report("greenlet")
        self.watcher.close()
        anchor.close()
        if self.wait_for_hub:
            self.hub.join()

    def end(self):
        self.over.set()

    def watch(self):
        self.watcher.start(self.ready)

    def unwatch(self):
        self.watcher.stop()

    def spawn(self, core, outcome):
        Request(self, core, outcome).start()

    def current(self):
        return getattr(getcurrent(), "uwsgi_core", -1)

    def pause(self):
        sleep(0)

    def wait_any(self, reads, writes, timeout):
        """The descriptor that is ready; -1: none in time."""
        hub = get_hub()
        if getcurrent() is hub:
            raise RuntimeError("gevent's hub cannot wait")
        waiter, watchers = Waiter(hub), []
        try:
            for event, fds in ((READ, reads), (WRITE, writes)):
                for fd in fds:
                    watchers.append(hub.loop.io(fd, event))
                    watchers[-1].start(waiter.switch, fd)
            if timeout is not None:
                watchers.append(hub.loop.timer(timeout))
                watchers[-1].start(waiter.switch, -1)
            return waiter.get()
        finally:
            for watcher in watchers:
                watcher.close()

