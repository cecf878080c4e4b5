"""Histograms in memory that the master reads; the counterpart in Go is internal/latency."""
from bisect import bisect_right

from .layouts import BUCKET_BOUNDS

SUM = len(BUCKET_BOUNDS) + 1  # behind a count for each bucket
MAX = SUM + 1
SIZE = MAX + 1  # in integers of eight bytes


class Durations:
    """One histogram. Only one process writes to it."""

    def __init__(self, integers):
        self.integers = integers

    def note(self, nanoseconds):
        integers = self.integers
        integers[bisect_right(BUCKET_BOUNDS, nanoseconds)] += 1
        integers[SUM] += nanoseconds
        integers[MAX] = max(integers[MAX], nanoseconds)
