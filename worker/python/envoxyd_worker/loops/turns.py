"""Waiting for a client, and taking turns in writing to it."""
import asyncio
import sys

from .futures import settle

EAGER = sys.version_info >= (3, 12)  # a task's first step can run at once: most have no other


class Ready:
    """Waits for a descriptor in one direction: add and remove are the loop's. Several tasks may wait. let_go() at the end of the
    request lets all of them go, because the number is another connection's then."""

    __slots__ = ("add", "fd", "loop", "remove", "waiting")

    def __init__(self, loop, add, remove):
        self.loop, self.add, self.remove = loop, add, remove
        self.fd = -1
        self.waiting = []

    async def in_time(self, fd, milliseconds):
        """Whether it becomes ready in time."""
        future = self.loop.create_future()
        if not self.waiting:
            self.fd = fd
            self.add(fd, self.let_go, True)
        self.waiting.append(future)
        timer = self.loop.call_later(milliseconds / 1000, settle, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            if future in self.waiting:
                self.waiting.remove(future)
                if not self.waiting:
                    self.remove(self.fd)

    def let_go(self, ready=False):
        if self.waiting:
            self.remove(self.fd)
            waiting, self.waiting = self.waiting, []
            for future in waiting:
                settle(future, ready)


class Turns:
    """Of tasks that write at the same time, one does. What it has begun is written to its end even if the task is cancelled: the
    client could make nothing of what follows a part of it."""

    __slots__ = ("ended", "lock", "loop", "writing")

    def __init__(self, loop):
        self.loop = loop
        self.lock = asyncio.Lock()
        self.writing = None
        self.ended = False

    async def take(self, function, *args):
        """Awaits function(*args) when it is the caller's turn: at once, if nobody writes."""
        await self.lock.acquire()
        if self.ended:
            self.lock.release()
            raise RuntimeError("the request has ended")
        coroutine = self.turn(function, args)
        if EAGER:
            self.writing = asyncio.Task(coroutine, loop=self.loop, eager_start=True)
        else:
            self.writing = self.loop.create_task(coroutine)
        writing = self.writing
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            if self.ended and writing.cancelled():  # and not the caller
                raise RuntimeError("the request has ended") from None
            raise

    async def turn(self, function, args):
        try:
            await function(*args)
        finally:
            self.lock.release()

    async def all_written(self):
        """Waits for what was begun by a task that was cancelled then."""
        while self.writing and not self.writing.done():
            await asyncio.wait([self.writing])

    async def end(self):
        """Nothing is written any more."""
        self.ended = True
        if self.writing and not self.writing.done():
            self.writing.cancel()
            await asyncio.wait([self.writing])
