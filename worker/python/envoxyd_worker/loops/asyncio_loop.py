"""Requests as greenlets beside asyncio's loop: an application starts tasks there, and switches to its parent to wait for them."""
import asyncio

from .greenlets import GreenletEngine


class Loop(GreenletEngine):
    always_yields = True

    def make(self):
        """The event loop of the worker, which is the current one of its thread."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop

    def run(self):
        self.loop = self.make()
        self.soon, self.later = self.loop.call_soon, self.loop.call_later
        self.watch()
        self.loop.run_forever()

    def end(self):
        self.loop.stop()

    def watch_fd(self, key, callback):
        fd, write = key
        (self.loop.add_writer if write else self.loop.add_reader)(fd, callback)

    def unwatch_fd(self, key):
        fd, write = key
        (self.loop.remove_writer if write else self.loop.remove_reader)(fd)
