"""Requests as greenlets beside Tornado's IOLoop, which runs on asyncio's loop since Tornado 5."""
from tornado.ioloop import IOLoop

from . import asyncio_loop


class Loop(asyncio_loop.Loop):
    def make(self):
        self.io_loop = IOLoop()  # it is what IOLoop.current() returns on this thread
        return self.io_loop.asyncio_loop
