"""What each of several applications has served, in every worker: memory that the workers of a generation share."""
from itertools import count
from mmap import mmap

MOST = 64  # applications whose requests are counted


class Served:
    """Two numbers for each application of each worker: requests, and exceptions."""

    def __init__(self, workers):
        self.numbers = memoryview(mmap(-1, max(workers, 1) * MOST * 16)).cast("Q")

    def of(self, worker):
        """What the process of a worker counts with."""
        return Counts(self.numbers, (worker - 1) * MOST * 2)

    def read(self, worker, app):
        """(requests, exceptions) of an application."""
        at = (worker - 1) * MOST * 2 + app * 2
        return (self.numbers[at], self.numbers[at + 1]) if app < MOST else (0, 0)


class Counts:
    """One worker's, which goes on where its predecessor has ended. Threads need no lock: each takes a number of its own."""

    def __init__(self, numbers, first):
        self.numbers = numbers
        self.next = [(first + at, count(numbers[first + at] + 1)) for at in range(MOST * 2)]

    def request(self, app):
        self._add(app * 2)

    def exception(self, app):
        self._add(app * 2 + 1)

    def _add(self, number):
        if number < len(self.next):
            at, following = self.next[number]
            self.numbers[at] = next(following)
