"""--py-autoreload: reload everything when a file of an imported module changes."""
import os
import sys
from time import sleep

from . import log, threads


def start(interval, reload):
    """Looks every `interval` seconds, on a thread that ends with the process."""
    threads.start(watch, (interval, reload), "py-autoreload")


def watch(interval, reload):
    known = {}
    while True:
        for name, path in files():
            try:
                changed = os.stat(path).st_mtime_ns
            except OSError:  # half written, or gone for good: the next look tells
                continue
            if known.setdefault(path, changed) != changed:
                log.line(f"[uwsgi-python-reloader] module/file {name} has been modified")
                reload()
                return
        sleep(interval)


def files():
    """(module name, source file) of everything that has been imported by now."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path:
            yield name, path[:-1] if path.endswith(".pyc") else path
