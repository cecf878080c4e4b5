"""ASGI 3 applications: each request is a task of asyncio's loop, or uvloop's."""
import asyncio
import contextvars
import importlib.util
from select import POLLOUT

from .. import log
from ..uwsgi_module.connections import wait
from .asgi_http import HTTP
from .asgi_lifespan import Lifespan
from .asgi_websocket import Websocket
from .engine import REQUEST, SIGNAL, Engine
from .futures import settle

CORE = contextvars.ContextVar("envoxyd_core", default=(-1, 0))


def new_loop(name):
    """The loop by its name; auto: uvloop's where it is installed."""
    if name == "uvloop" or name == "auto" and importlib.util.find_spec("uvloop"):
        return importlib.import_module("uvloop").new_event_loop()
    return asyncio.new_event_loop()


class Loop(Engine):
    def __init__(self, spec, extension):
        Engine.__init__(self, spec, extension)
        self.lifespan_mode = spec["loop"]["lifespan"]
        self.loop = new_loop(spec["loop"]["event_loop"])
        asyncio.set_event_loop(self.loop)
        self.numbers = {}  # of the current request of each core
        self.number = 0
        self.tasks = set()
        self.state = {}  # what lifespan.startup has put there, for every request

    def start(self, settings, of_core):
        """Before the worker says that it is ready. False: the application has refused to start."""
        self.app = settings["asgi"]
        self.lifespan = Lifespan(self.app, self.lifespan_mode, self.state, settings["on_error"])
        Engine.start(self, settings, of_core)
        return self.loop.run_until_complete(self.lifespan.startup())

    def run(self):
        self.over = self.loop.create_future()
        self.watch()
        self.loop.run_until_complete(self.over)
        self.loop.run_until_complete(self.lifespan.shutdown())

    def end(self):
        settle(self.over)

    def watch(self):
        self.loop.add_reader(self.reactor, self.ready)

    def unwatch(self):
        self.loop.remove_reader(self.reactor)

    def current(self):
        core, number = CORE.get()
        return core if self.numbers.get(core) == number else -1

    def spawn(self, core, outcome):
        if outcome == SIGNAL:
            self.loop.call_soon(self.signal, core)
            return
        task = self.loop.create_task(self.request(core))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def signal(self, core):
        self.handle(core, SIGNAL)
        self.done(core)

    async def request(self, core):
        error = call = None
        gone = False
        self.number += 1
        self.numbers[core] = self.number
        CORE.set((core, self.number))
        try:
            begun = self.extension.asgi_begin(core)
            if begun is None:
                self.handle(core, REQUEST)
                self.end_request(core)
                return
            environ, fd, serial = begun
            call = (Websocket if asks_for_websocket(environ) else HTTP)(self, core, environ, fd, serial)
            await self.app(call.scope, call.receive, call.send)
            await call.returned()
        except BaseException as raised:
            error = raised
        if call:
            call.end(error)
            gone = call.gone
        try:
            self.extension.asgi_end(core, error, gone)
        except BaseException:
            self.report("application")
        self.end_request(core)

    def end_request(self, core):
        del self.numbers[core]
        self.done(core)

    # What requests wait for.

    def wait_to_write(self, fd, milliseconds):
        """For what does not know of asyncio: uwsgi.send and its kin."""
        return wait(fd, POLLOUT, milliseconds)

    async def writable(self, fd, milliseconds):
        """Whether the client reads in time."""
        return await self.ready_in_time(self.loop.add_writer, self.loop.remove_writer, fd, milliseconds)

    async def readable(self, fd, milliseconds):
        return await self.ready_in_time(self.loop.add_reader, self.loop.remove_reader, fd, milliseconds)

    async def ready_in_time(self, add, remove, fd, milliseconds):
        future = self.loop.create_future()
        add(fd, settle, future, True)
        timer = self.loop.call_later(milliseconds / 1000, settle, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            remove(fd)

    def suspend(self):
        log.line("uwsgi.suspend() has no effect in an ASGI application: await instead")

    def wait_any(self, reads, writes, timeout):
        raise RuntimeError("an ASGI application awaits; this uwsgi function would hold all others up")


def asks_for_websocket(environ):
    return environ.get("HTTP_UPGRADE", "").lower() == "websocket" and "HTTP_SEC_WEBSOCKET_KEY" in environ
