"""A small cache in memory."""
import collections
import threading


class LRUCache:
    """Keeps the `capacity` values that were used last."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.cache = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key):
        """The value, -1 when there is none."""
        with self._lock:
            if key not in self.cache:
                return -1
            self.cache.move_to_end(key)
            return self.cache[key]

    def set(self, key, value):
        """Keep a value; the one unused for longest makes room."""
        with self._lock:
            self.cache[key] = value
            self.cache.move_to_end(key)
            if len(self.cache) > self.capacity:
                self.cache.popitem(last=False)
