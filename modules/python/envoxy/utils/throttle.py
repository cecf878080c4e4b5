"""Calls that may not come too often."""
import threading
import time
from functools import wraps


def throttle(duration=1, **kw):
    """Call the function at most once in duration seconds; other calls do on_throttling() and give None."""
    on_throttling = kw.get("on_throttling")

    def decorate(function):
        lock = threading.Lock()
        last = None

        @wraps(function)
        def throttled(*args, **kwargs):
            nonlocal last
            with lock:
                now = time.monotonic()
                due = last is None or now >= last + duration
                if due:
                    last = now
            if due:
                return function(*args, **kwargs)
            if on_throttling:
                on_throttling()
            return None

        return throttled

    return decorate
