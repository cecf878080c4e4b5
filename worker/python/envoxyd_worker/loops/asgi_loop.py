"""ASGI 3 applications: each request is a task of asyncio's loop, or uvloop's."""
import asyncio
import contextvars
import importlib.util
import time
from math import inf
from select import POLLOUT
from types import SimpleNamespace

from .. import log
from ..uwsgi_module.connections import wait
from .asgi_http import EXTENSIONS, EXTENSIONS_11, HTTP, left, scope_base
from .asgi_lifespan import Lifespan
from .asgi_websocket import Websocket
from .engine import REQUEST, SIGNAL, Engine
from .futures import settle
from .turns import EAGER

CALL = contextvars.ContextVar("envoxyd_call", default=None)

IN_A_ROW = 64  # requests that are begun before the loop's other callbacks have their turn


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
        self.tasks = {}  # of each core: its task, and the time when it was begun
        self.fresh = []  # cores whose request has no task yet
        self.starting = False
        self.harakiri = spec["limits"]["harakiri"]
        self.state = {}  # what lifespan.startup has put there, for every request

    def start(self, settings, of_core):
        """Before the worker says that it is ready. False: the application has refused to start."""
        self.app = settings["asgi"]
        self.context = contextvars.copy_context()  # that each request begins with a copy of
        settings["scope"] = scope_base(self.state, EXTENSIONS)
        settings["scope11"] = scope_base(self.state, EXTENSIONS_11)
        self.lifespan = Lifespan(self.app, self.lifespan_mode, self.state, settings["on_error"])
        Engine.start(self, settings, of_core)
        return self.loop.run_until_complete(self.lifespan.startup())

    def run(self):
        self.over = self.loop.create_future()
        self.watch()
        if self.harakiri:
            self.loop.call_later(1, self.check_harakiri)
        self.loop.run_until_complete(self.over)
        self.loop.run_until_complete(self.lifespan.shutdown())

    def end(self):
        settle(self.over)

    def watch(self):
        self.context.copy().run(self.loop.add_reader, self.reactor, self.ready)

    def unwatch(self):
        self.loop.remove_reader(self.reactor)

    def current(self):
        call = CALL.get()
        return call.core if call and not call.ended else -1

    def ready_soon(self):
        self.loop.call_soon(self.ready)

    def spawn(self, core, outcome):
        if outcome == SIGNAL:
            self.loop.call_soon(self.signal, core, context=self.context.copy())
            return
        self.fresh.append(core)
        if not self.starting:
            self.start_fresh()

    def start_fresh(self):
        """A request that ends at once has its core take the next, so this does not call itself, and does not go on for ever."""
        self.starting = True
        for _ in range(IN_A_ROW):
            if not self.fresh:
                break
            core = self.fresh.pop()
            began = time.monotonic() if self.harakiri else 0
            if EAGER:
                task = asyncio.Task(self.request(core), loop=self.loop, context=self.context.copy(), eager_start=True)
                if not task.done():
                    self.tasks[core] = task, began
            else:
                self.tasks[core] = self.context.copy().run(self.loop.create_task, self.request(core)), began
        self.starting = False
        if self.fresh:
            self.loop.call_soon(self.start_fresh)

    def check_harakiri(self):
        """Tasks that take too long are cancelled; the master ends a process where that does not help."""
        now = time.monotonic()
        for core, (task, began) in self.tasks.items():
            if now - began >= self.harakiri:
                self.tasks[core] = task, inf  # once
                log.line(f"*** HARAKIRI: a request of core {core} takes longer than {self.harakiri} seconds: its task is cancelled ***")
                task.cancel()
        self.loop.call_later(1, self.check_harakiri)

    def signal(self, core):
        self.handle(core, SIGNAL)
        self.done(core)

    async def request(self, core):
        error = call = None
        gone = False
        try:
            begun = self.extension.asgi_begin(core)
            if begun is None:
                CALL.set(SimpleNamespace(core=core, ended=False))
                self.handle(core, REQUEST)
                self.end_request(core)
                return
            scope, fd, serial, body, key = begun
            call = HTTP(self, core, scope, fd, body) if key is None else Websocket(self, core, scope, serial, key)
            CALL.set(call)
            await self.app(scope, call.receive, call.send)
            await call.returned()
        except BaseException as raised:
            error = raised
        if call:
            await call.end(error)
            gone = call.gone
            if gone and left(error):
                error = None
        try:
            self.extension.asgi_end(core, error, gone)
        except BaseException:
            self.report("application")
        self.end_request(core)

    def end_request(self, core):
        self.tasks.pop(core, None)
        self.done(core)

    # What requests wait for.

    def wait_to_write(self, fd, milliseconds):
        """For what does not know of asyncio: uwsgi.send and its kin."""
        return wait(fd, POLLOUT, milliseconds)

    def suspend(self):
        log.line("uwsgi.suspend() has no effect in an ASGI application: await instead")

    def wait_any(self, reads, writes, timeout):
        raise RuntimeError("an ASGI application awaits; this uwsgi function would hold all others up")
