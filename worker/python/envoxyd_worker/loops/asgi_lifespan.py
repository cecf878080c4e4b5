"""ASGI's lifespan: the application is told when it starts and when it ends."""
import asyncio

from .. import log
from .futures import settle


class Lifespan:
    """mode: auto, on or off. With auto, an application that does not know lifespan serves without it."""

    def __init__(self, app, mode, state, on_error):
        self.app, self.mode, self.state, self.on_error = app, mode, state, on_error
        self.task = None
        self.messages = asyncio.Queue()
        self.failed = False

    async def startup(self):
        """Whether the application has started."""
        if self.mode == "off":
            return True
        self.started = asyncio.get_running_loop().create_future()
        self.stopped = asyncio.get_running_loop().create_future()
        self.task = asyncio.ensure_future(self.run())
        await self.messages.put({"type": "lifespan.startup"})
        await self.started
        return not self.failed

    async def shutdown(self):
        if self.task is None or self.task.done():
            return
        await self.messages.put({"type": "lifespan.shutdown"})
        await self.stopped

    async def run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self.messages.get, self.send)
        except BaseException as error:
            if self.started.done() or self.mode == "on":
                self.failed = True
                self.on_error(type(error), error, error.__traceback__, "lifespan")
            elif not self.failed:
                log.line("ASGI 'lifespan' protocol appears unsupported.")
        for future in (self.started, self.stopped):
            settle(future)

    async def send(self, message):
        kind = message["type"]
        if kind.endswith(".failed"):
            self.failed = True
            log.line(f"{kind}: {message.get('message', '')}")
        settle({"lifespan.startup": self.started, "lifespan.shutdown": self.stopped}[kind.rpartition(".")[0]])
