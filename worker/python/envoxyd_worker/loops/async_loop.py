"""Requests as greenlets on a loop of our own (--async, --ugreen, --greenlet)."""
from collections import deque
from heapq import heappop, heappush
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic

from .greenlets import GreenletEngine


class Timer:
    __slots__ = ("arguments", "at", "callback")

    def __init__(self, at, callback, arguments):
        self.at, self.callback, self.arguments = at, callback, arguments

    def cancel(self):
        self.callback = None

    def __lt__(self, other):
        return self.at < other.at


class Loop(GreenletEngine):
    always_yields = True

    def __init__(self, spec, extension):
        GreenletEngine.__init__(self, spec, extension)
        self.selector = DefaultSelector()
        self.next = deque()  # callbacks whose turn it is
        self.timers = []
        self.over = False

    def run(self):
        self.watch()
        while not self.over:
            try:
                self.turn()
            except BaseException:  # of a greenlet of the application's
                self.report("greenlet")

    def turn(self):
        for key, events in self.selector.select(self.patience()):
            for event in (EVENT_READ, EVENT_WRITE):
                callback = key.data.get(event)  # the one before may have taken it away
                if events & event and callback is not None:
                    callback()
        now = monotonic()
        while self.timers and (self.timers[0].callback is None or self.timers[0].at <= now):
            timer = heappop(self.timers)
            if timer.callback is not None:
                timer.callback(*timer.arguments)
        for _ in range(len(self.next)):
            self.next.popleft()()

    def patience(self):
        """How long there is nothing to do; None: until a descriptor is ready."""
        if self.next:
            return 0
        return max(self.timers[0].at - monotonic(), 0) if self.timers else None

    def end(self):
        self.over = True

    def soon(self, callback):
        self.next.append(callback)

    def later(self, seconds, callback, *arguments):
        timer = Timer(monotonic() + seconds, callback, arguments)
        heappush(self.timers, timer)
        return timer

    def watch_fd(self, key, callback):
        fd, write = key
        event = EVENT_WRITE if write else EVENT_READ
        known = self.selector.get_map().get(fd)
        if known is None:
            self.selector.register(fd, event, {event: callback})
            return
        known.data[event] = callback
        self.selector.modify(fd, known.events | event, known.data)

    def unwatch_fd(self, key):
        fd, write = key
        event = EVENT_WRITE if write else EVENT_READ
        known = self.selector.get_map().get(fd)
        if known is None or event not in known.data:
            return
        del known.data[event]
        if known.data:
            self.selector.modify(fd, known.events & ~event, known.data)
        else:
            self.selector.unregister(fd)
